// Command plugin serves the libvirt provider to the Pulumi engine.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"

	"metalab/tools/engine/plugin/provider"
)

// The schema is committed: its generator takes three times as long to build as this plugin, and
// what it prints only changes with the versions in go.mod. After such a change: `go generate`.
//
//go:generate sh -c "go run ./schema >schema.tmp && mv schema.tmp schema.json"
//go:embed schema.json
var schema []byte

func main() {
	tfbridge.Main("libvirt", provider.Version, provider.Info(), schema)
}
