# The steps of init, in the order in which it takes them.

log() { echo "tiny: $*" >/dev/console; }

uptime_s() { read -r up idle </proc/uptime && echo "$up"; }

load() { # FILE: insert the modules that it lists, in its order
    for module in $(cat "$1"); do
        insmod "/lib/modules/$module.ko" 2>/run/insmod || log "module $module: $(cat /run/insmod)"
    done
}

find_disk() { # the disk that this system was started from keeps what must outlive a reboot
    device=$(findfs LABEL=metalab-tiny 2>/dev/null) && mount -t ext4 "$device" /disk && return
    log 'no disk of its own (started over the network?): host keys will not outlive a reboot'
}

find_seed() { # an ISO 9660 volume with a meta-data file, on virtio (quick) or on IDE
    if ! mount_seed; then
        load /lib/modules.cdrom
        for attempt in 1 2 3 4 5 6 7 8 9 10; do
            mount_seed && break
            sleep 0.1
        done
    fi
    mkdir -p -m 700 /disk/seed # without a disk it is in memory
    if [ -f /seed/meta-data ]; then
        cp /seed/* /disk/seed/ 2>/dev/null
        log "seed on $seed at $(uptime_s)"
    elif [ -f /disk/seed/meta-data ]; then
        log "no seed attached: using the one of the boot before"
    else
        log 'no seed: every NIC asks for DHCP, and nobody can log in but here'
    fi
    for part in meta-data user-data network-config; do
        # network-config may stand below a key "network" of its own; both forms are in use
        [ -f "/disk/seed/$part" ] || : >"/disk/seed/$part"
        awk -f /lib/yaml.awk "/disk/seed/$part" | sed 's|^network/||' >"/run/seed/$part"
    done
}

mount_seed() {
    for seed in /dev/vd[b-z] /dev/vda /dev/sr0; do
        [ -b "$seed" ] && mount -t iso9660 -o ro "$seed" /seed 2>/dev/null || continue
        [ -f /seed/meta-data ] && return 0
        umount /seed
    done
    return 1
}

ask() { # PART KEY: the first value of a key in a part of the seed
    sed -n "\|^$2=|{s|||p;q;}" "/run/seed/$1"
}

name_host() {
    name=$(ask user-data hostname)
    [ -n "$name" ] || name=$(ask meta-data local-hostname)
    hostname "${name:-tiny}"
    hostname >/etc/hostname
    printf '127.0.0.1 localhost %s\n::1 localhost\n' "${name:-tiny}" >/etc/hosts
}

start_network() {
    ip link set lo up
    for nic in /sys/class/net/eth*; do
        [ -e "$nic" ] && /bin/nic "${nic##*/}"
    done
}

start_ssh() { # with the seed's host key if it has one, else with one of our own that stays
    grep -E '(^|/)ssh_authorized_keys/[0-9]+=' /run/seed/user-data | sed 's/^[^=]*=//' \
        >/root/.ssh/authorized_keys
    [ -s /root/.ssh/authorized_keys ] || log 'the seed has no ssh_authorized_keys: SSH lets nobody in'
    mkdir -p -m 700 /disk/dropbear
    ln -sfn /disk/dropbear /etc/dropbear
    key=/etc/dropbear/dropbear_ed25519_host_key
    if openssh_key >/run/host_key && dropbearconvert openssh dropbear /run/host_key /run/key 2>/dev/null; then
        mv /run/key $key
    elif [ ! -s $key ]; then
        log 'no host key in the seed: making one'
        dropbearkey -t ed25519 -f $key >/dev/null 2>&1
    fi
    rm -f /run/host_key
    dropbear -s -r $key -p 22 2>/dev/console # -s: no passwords, there are none
}

openssh_key() { # print the seed's private host key in its own lines again
    body=$(ask user-data ssh_keys/ed25519_private)
    [ -n "$body" ] || return 1
    body=${body#*-----BEGIN OPENSSH PRIVATE KEY-----}
    body=${body%%-----END*}
    echo '-----BEGIN OPENSSH PRIVATE KEY-----'
    echo "$body" | tr -d ' ' | fold -w 70
    echo '-----END OPENSSH PRIVATE KEY-----'
}

start_power_button() { # what `virsh shutdown` presses
    mkdir -p /etc/acpi/PWRF
    printf '#!/bin/sh\nkill -USR2 1\n' >/etc/acpi/PWRF/00000080
    chmod 755 /etc/acpi/PWRF/00000080
    acpid -d >/dev/null 2>&1 &
}

leave() { # reboot | poweroff
    log "$1"
    umount /disk 2>/dev/null || mount -o remount,ro /disk 2>/dev/null
    sync
    "$1" -f
}
