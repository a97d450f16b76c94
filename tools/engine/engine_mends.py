"""What the engine and its language host do for nobody, and the lines that are built instead."""

from tools.engine.mends import Mend

ENGINE = "github.com/pulumi/pulumi/pkg/v3"
SDK = "github.com/pulumi/pulumi/sdk/v3"  # of which the language host has a part
LANGUAGE = "github.com/pulumi/pulumi/sdk/python/cmd/pulumi-language-python/v3"

# Before each run of a program the language host has pip list what is installed, to find three
# packages with a plugin: 0.13 s, twice in an `up` that takes 2.5 s. The names of folders say it.
PACKAGES = Mend(
    module=SDK,
    file="python/toolchain/pip.go",
    lines=(
        (
            "func (p *pip) ListPackages(",
            "func (p *pip) installed() []PythonPackage {\n"
            "\tvar packages []PythonPackage\n"
            '\tsite := filepath.Join(p.virtualenvPath, "lib", "python*", "site-packages")\n'
            '\tfound, _ := filepath.Glob(filepath.Join(site, "*-*.dist-info"))\n'
            "\tfor _, path := range found {\n"
            '\t\tstem := strings.TrimSuffix(filepath.Base(path), ".dist-info")\n'
            '\t\tname, version, _ := strings.Cut(stem, "-")\n'
            "\t\tpackages = append(packages, PythonPackage{\n"
            '\t\t\tName:     strings.ReplaceAll(name, "_", "-"),\n'
            "\t\t\tVersion:  version,\n"
            "\t\t\tLocation: filepath.Dir(path),\n"
            "\t\t})\n"
            "\t}\n"
            "\treturn packages\n"
            "}\n\n"
            "func (p *pip) ListPackages(",
        ),
        (
            '\targs := []string{"list", "-v", "--format", "json"}\n',
            '\tif p.virtualenvPath != "" && transitive {\n'
            "\t\tif packages := p.installed(); len(packages) > 0 {\n"
            "\t\t\treturn packages, nil\n"
            "\t\t}\n"
            "\t}\n"
            '\targs := []string{"list", "-v", "--format", "json"}\n',
        ),
    ),
)

# Before it starts a policy pack it imports all of the SDK in a process of its own, to learn what it
# then does not ask for: 0.2 s of what each phase takes.
PACKS = Mend(
    module=LANGUAGE,
    file="main.go",
    lines=(
        (
            "\tif out, err := checkModuleCmd.CombinedOutput(); err != nil {\n",
            "\tif hasMainPy {\n"
            "\t\thasPluginRunModule = false\n"
            "\t} else if out, err := checkModuleCmd.CombinedOutput(); err != nil {\n",
        ),
    ),
)

# Each command keeps a log of what it does in PULUMI_HOME, encrypted, whether anybody asks for one
# or not: 11 MB of an `up` that changes nothing at 200 nodes, and half of what the engine computes,
# most of it where resources wait in line. Warnings are left; `-v 9 --logtostderr` logs as before.
LOGS = Mend(
    module=ENGINE,
    file="logging/encrypted.go",
    lines=(("\t\tLevel: slog.LevelDebug,\n", "\t\tLevel: slog.LevelWarn,\n"),),
)

# Before and after each step all of the state is written, one write after the other, while up to
# sixteen steps wait for theirs: 37 s for 314 resources that do nothing, 9 s like this. Those that
# wait together are written together, and go on, as before, when what they did is on the disk.
SAVES = Mend(
    module=ENGINE,
    file="backend/snapshot.go",
    lines=(
        (
            "\t\t\tvar err error\n"
            "\t\t\tif request.mutator() {\n"
            "\t\t\t\terr = sm.saveSnapshot()\n"
            "\t\t\t\thasElidedWrites = false\n"
            "\t\t\t} else {\n"
            "\t\t\t\thasElidedWrites = true\n"
            "\t\t\t}\n"
            "\t\t\trequest.result <- err\n",
            "\t\t\trequests, saving := []mutationRequest{request}, false\n"
            "\t\tgathering:\n"
            "\t\t\tfor {\n"
            "\t\t\t\tselect {\n"
            "\t\t\t\tcase another := <-mutationRequests:\n"
            "\t\t\t\t\trequests = append(requests, another)\n"
            "\t\t\t\tdefault:\n"
            "\t\t\t\t\tbreak gathering\n"
            "\t\t\t\t}\n"
            "\t\t\t}\n"
            "\t\t\tfor _, each := range requests {\n"
            "\t\t\t\tsaving = each.mutator() || saving\n"
            "\t\t\t}\n"
            "\t\t\tvar err error\n"
            "\t\t\tif saving {\n"
            "\t\t\t\terr = sm.saveSnapshot()\n"
            "\t\t\t}\n"
            "\t\t\thasElidedWrites = !saving\n"
            "\t\t\tfor _, each := range requests {\n"
            "\t\t\t\teach.result <- err\n"
            "\t\t\t}\n",
        ),
    ),
)
