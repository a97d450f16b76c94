# Turn a flattened network-config (see yaml.awk) into the orders for one NIC, in the order in which
# they must be carried out. In: mac, nic. Out: lines of "word value".

{
    at = index($0, "="); key = substr($0, 1, at - 1); value = substr($0, at + 1)
    if (split(key, p, "/") < 3 || p[1] != "ethernets") next
    id = p[2]; key = substr(key, length("ethernets/" id "/") + 1)
    if (!(id in count)) ids[++known] = id
    n = ++count[id]; keys[id, n] = key; values[id, n] = value
    if (key == "match/macaddress" && tolower(value) == mac) ours = id
}

function each(pattern, word,  i) {
    for (i = 1; i <= count[ours]; i++) if (keys[ours, i] ~ pattern) print word, values[ours, i]
}

function one(key,  i) {
    for (i = 1; i <= count[ours]; i++) if (keys[ours, i] == key) return values[ours, i]
    return "-"
}

END {
    if (!known) { print "up"; print "dhcp true"; exit }
    if (ours == "" && nic in count) ours = nic
    if (ours == "") { print "unknown"; print "up"; exit }
    each("^set-name$", "name")
    each("^mtu$", "mtu")
    print "up"
    each("^addresses/", "address")
    if (one("gateway4") != "-") print "route default", one("gateway4")
    if (one("gateway6") != "-") print "route default", one("gateway6")
    for (n = 0; one("routes/" n "/to") != "-"; n++)
        print "route", one("routes/" n "/to"), one("routes/" n "/via"), one("routes/" n "/metric")
    each("^nameservers/addresses/", "nameserver")
    if (one("dhcp4") == "true") print "dhcp", one("dhcp4-overrides/use-routes")
}
