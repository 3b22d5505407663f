package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), version())
			return err
		},
	}
}

// version says which build this is: "muster v1.2.0 (go1.26.0, linux/amd64)".
func version() string {
	return fmt.Sprintf("muster %s (%s, %s/%s)", release(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// release is the version alone: "v1.2.0".
func release() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
