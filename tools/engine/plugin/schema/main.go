// Command schema prints the package schema that ../main.go embeds.
//
// It is a program of its own because the generator is far bigger than the plugin.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"

	"metalab/tools/engine/plugin/provider"
)

func main() {
	generated, err := tfgen.GenerateSchemaWithOptions(tfgen.GenerateSchemaOptions{
		ProviderInfo:    provider.Info(),
		DiagnosticsSink: diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never}),
		// Without it the generator looks for Markdown in a checkout of the provider's repository.
		XInMemoryDocs: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(generated.PackageSpec); err != nil {
		log.Fatal(err)
	}
}
