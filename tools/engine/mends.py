"""Defects of the plugin that no release is without, and the lines that are built instead."""

from collections.abc import Iterator
from dataclasses import dataclass

CLIENT = "github.com/digitalocean/go-libvirt"  # speaks to libvirt, for
PROVIDER = "github.com/dmacvicar/terraform-provider-libvirt"  # which the plugin is built around


@dataclass(frozen=True, kw_only=True, slots=True)
class Mend:
    """Other lines in one file of a module. `mending` applies them, to what go.sum vouches for."""

    module: str
    file: str  # within the module
    lines: tuple[tuple[str, str], ...]  # (what stands there, just once; what is built instead)


# The plugin reads a cloud-init disk by a download, at its creation and at every refresh. What
# libvirt sends of a download may overtake its reply to the call. go-libvirt takes the first answer
# for the reply, so it loses that part, takes the reply for the end of the stream, and leaves while
# parts still come. Of 2,000 downloads of a seed's size, 4 at a time, 2 in 100 came back empty or
# cut short; and as an answer is handed over under a lock that the leaving caller wants, the plugin
# hung for ever: after 61 of them, after 734 one by one. It also never says that it has read all, so
# libvirtd keeps each stream open, up to its limit of open files. Mended, 20,000 came whole.
# Issue 241 of go-libvirt has a part of it; the module as of 2026-10-13 mends the last two lines.
STREAMS = Mend(
    module=CLIENT,
    file="rpc.go",
    lines=(
        # The reply, and parts of the stream that came before it, told apart by their type.
        ("\tStatus  uint32\n}", "\tStatus  uint32\n\tType    uint32\n}"),
        ("Status: h.Status}", "Status: h.Status, Type: h.Type}"),
        (
            "\tresp, err := l.getResponse(c)\n\tif err",
            "\tresp, err := l.getResponse(c)\n"
            "\tvar early []response\n"
            "\tfor ; err == nil && resp.Type == socket.Stream; resp, err = l.getResponse(c) {\n"
            "\t\tearly = append(early, resp)\n"
            "\t}\n"
            "\tif err",
        ),
        ("inStream io.Writer) (", "inStream io.Writer,\n\tearly ...response) ("),
        (
            "\t\tresp, err := l.getResponse(c)\n",
            "\t\tvar resp response\n"
            "\t\tvar err error\n"
            "\t\tif len(early) > 0 {\n"
            "\t\t\tresp, early = early[0], early[1:]\n"
            "\t\t} else {\n"
            "\t\t\tresp, err = l.getResponse(c)\n"
            "\t\t}\n",
        ),
        # The end of a download is confirmed, as libvirt's own client does it.
        (
            "\t\treturn l.processIncomingStream(c, in)",
            "\t\tresp, err = l.processIncomingStream(c, in, early...)\n"
            "\t\tif err != nil || resp.Status == socket.StatusOK {\n"
            "\t\t\treturn resp, err\n"
            "\t\t}\n"
            "\t\tstatus := uint32(socket.StatusOK)\n"
            "\t\terr = l.socket.SendPacket(serial, proc, program, nil, socket.Stream, status)\n"
            "\t\tif err != nil {\n"
            "\t\t\treturn resp, err\n"
            "\t\t}\n"
            "\t\treturn l.getResponse(c)",
        ),
        # Room for answers that nobody waits for any more; the last two hang refused uploads.
        ("c := make(chan response)", "c := make(chan response, 8)"),
        ("abort := make(chan bool)", "abort := make(chan bool, 1)"),
        ("outErr := make(chan error)", "outErr := make(chan error, 1)"),
    ),
)

# What is gone is deleted. A run that is killed in the midst of a delete leaves the object in the
# state and nothing in libvirt; the plugin then failed at each further delete, so that no `destroy`
# ever came to its end without a refresh. Volumes are so already.
_GONE = """	if err != nil {{
		if isError(err, libvirt.{code}) {{
			return nil
		}}
		return diag.Errorf("{said}"""
_DELETED = (
    ("network", "ErrNoNetwork", "when destroying libvirt network: error retrieving"),
    ("domain", "ErrNoDomain", "error retrieving libvirt domain by delete:"),
)
DELETES = tuple(
    Mend(
        module=PROVIDER,
        file=f"libvirt/resource_libvirt_{kind}.go",
        lines=(
            (
                f'\tif err != nil {{\n\t\treturn diag.Errorf("{said}',
                _GONE.format(code=code, said=said),
            ),
        ),
    )
    for kind, code, said in _DELETED
)

# Names of a network's DNS are edited one by one. A run that was killed between two of them left the
# state with names that are gone, or without some that are there, and each further update failed.
_UPDATE = "virConn.NetworkUpdateCompat(network, libvirt.NetworkUpdateCommand"
_OF_HOSTS = """
				libvirt.NetworkSectionDNSHost, -1, {},
				libvirt.NetworkUpdateAffectLive|libvirt.NetworkUpdateAffectConfig)
"""
NAMES = Mend(
    module=PROVIDER,
    file="libvirt/network_dns.go",
    lines=(
        ('\t"strconv"\n', '\t"strconv"\n\t"strings"\n'),
        (
            '\t\t\tif err != nil {\n\t\t\t\treturn fmt.Errorf("delete',
            '\t\t\tif err != nil && !strings.Contains(err.Error(), "couldn\'t locate") {\n'
            '\t\t\t\treturn fmt.Errorf("delete',
        ),
        (
            '\t\t\tif err != nil {\n\t\t\t\treturn fmt.Errorf("add',
            '\t\t\tif err != nil && strings.Contains(err.Error(), "there is already") {\n'
            "\t\t\t\tgone, _ := xmlMarshallIndented(libvirtxml.NetworkDNSHost{IP: newEntry.IP})\n"
            f"\t\t\t\t_ = {_UPDATE}Delete,{_OF_HOSTS.format('gone')}"
            f"\t\t\t\terr = {_UPDATE}AddLast,{_OF_HOSTS.format('data')}"
            "\t\t\t}\n"
            '\t\t\tif err != nil {\n\t\t\t\treturn fmt.Errorf("add',
        ),
    ),
)

# With `--debug` the engine shows the plugin's log: a seed holds a node's private host key, and a
# domain's definition the password of its screen.
_TOLD = (
    ("resource_libvirt_cloud_init", "[INFO] cloudInit", ": %+v", "cloudInit"),
    ("cloudinit_def", "[DEBUG]: Read cloud-init from file", ": %+v", "ci"),
    ("utils_xslt", "[DEBUG] Transformed XML with user specified XSLT", ":\\n%s", "transformedXML"),
)
SECRETS = tuple(
    Mend(
        module=PROVIDER,
        file=f"libvirt/{file}.go",
        lines=((f'log.Printf("{said}{form}", {what})', f'log.Printf("{said}")'),),
    )
    for file, said, form, what in _TOLD
)

# What was made and could not be read afterwards, as libvirtd was killed just then, was remembered
# as made in part; the next run wants to update it, and these know no update: "doesn't support
# update" for ever. Forgotten, it is found on the host by the next run, which knows what to do.
_READS = (
    ("pool", "resourceLibvirtPoolRead", "PoolExists(ctx, client.libvirt, pool.UUID)"),
    ("volume", "resourceLibvirtVolumeRead", "VolumeExists(ctx, virConn, volume.Key)"),
    ("cloud_init", "resourceCloudInitDiskRead", ""),
)


def _forgotten(read: str, wait: str) -> Iterator[tuple[str, str]]:
    was, now = f"\treturn {read}(ctx, d, meta)\n", f"\tread := {read}(ctx, d, meta)\n"
    yield was, now + '\tif read.HasError() {\n\t\td.SetId("")\n\t}\n\treturn read\n'
    if wait:
        waited = f"{wait}; err != nil {{\n"
        yield waited, waited + '\t\td.SetId("")\n'


# So is a network whose autostart could not be set: an update sets it when it changes, which it
# does not.
_NETWORK = (
    "waiting for network to reach active state: %s",
    "setting autostart for network: %s",
)
HALVES = (
    Mend(
        module=PROVIDER,
        file="libvirt/resource_libvirt_network.go",
        lines=tuple(
            (
                f'return diag.Errorf("error {said}',
                f'd.SetId("")\n\t\treturn diag.Errorf("error {said}',
            )
            for said in _NETWORK
        ),
    ),
    *(
        Mend(
            module=PROVIDER,
            file=f"libvirt/resource_libvirt_{kind}.go",
            lines=tuple(_forgotten(read, wait)),
        )
        for kind, read, wait in _READS
    ),
)

# A node is looked at in two calls: whether it runs, and then for its addresses. One that a guest or
# a BMC switched off in between failed the whole run with "domain is not running": 2 of 9 refreshes
# from 50 ms away, of twelve nodes that went off and on.
OFFS = Mend(
    module=PROVIDER,
    file="libvirt/domain.go",
    lines=(
        (
            '\tif err != nil {\n\t\treturn interfaces, fmt.Errorf("error retrieving interface addr',
            "\tif isError(err, libvirt.ErrOperationInvalid) {\n"
            "\t\treturn []libvirt.DomainInterface{}, nil\n"
            "\t}\n"
            '\tif err != nil {\n\t\treturn interfaces, fmt.Errorf("error retrieving interface addr',
        ),
    ),
)

# sshd hangs up on some of those who come when more than ten have not logged in yet (MaxStartups):
# of sixteen runs at once, one or two ended so. Like metalab's own connections, it comes again.
_DIAL = 'ssh.Dial("tcp", net.JoinHostPort(hostName, port), &cfg)\n'
DIALS = Mend(
    module=PROVIDER,
    file="libvirt/uri/ssh.go",
    lines=(
        ('\t"strings"\n', '\t"strings"\n\t"time"\n'),
        (
            f"\t\tconn, err := {_DIAL}",
            f"\t\tconn, err := {_DIAL}"
            "\t\tfor left := 20; left > 0 && err != nil; left-- {\n"
            '\t\t\tif !strings.HasSuffix(err.Error(), "handshake failed: EOF") &&\n'
            '\t\t\t\t!strings.HasSuffix(err.Error(), "connection reset by peer") {\n'
            "\t\t\t\tbreak\n"
            "\t\t\t}\n"
            "\t\t\ttime.Sleep(500 * time.Millisecond)\n"
            f"\t\t\tconn, err = {_DIAL}"
            "\t\t}\n",
        ),
    ),
)

# A volume's creation kept its pool locked until all had been read back, ten calls to libvirt of
# which three need that: from 50 ms away ten volumes took 5 s one after the other.
LOCKS = Mend(
    module=PROVIDER,
    file="libvirt/resource_libvirt_volume.go",
    lines=(
        ('\t"log"\n', '\t"log"\n\t"sync"\n'),
        (
            "\tdefer client.poolMutexKV.Unlock(poolName)\n",
            "\tunlock := sync.OnceFunc(func() { client.poolMutexKV.Unlock(poolName) })\n"
            "\tdefer unlock()\n",
        ),
        (
            "\t// we use the key as the id\n",
            '\tif _, ok := d.GetOk("source"); !ok {\n\t\tunlock()\n\t}\n',
        ),
    ),
)

# After each network was made or removed, 0.2 s went by before libvirt was asked whether it was so,
# which it is when the call returns.
DELAYS = Mend(
    module=PROVIDER,
    file="libvirt/timeout.go",
    lines=(("= 200 * time.Millisecond", "= 10 * time.Millisecond"),),
)
