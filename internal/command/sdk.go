package command

import (
	"debug/buildinfo"
	"runtime/debug"
	"slices"
)

// sdkModule is the module that holds the worker SDK.
const sdkModule = "github.com/musterd/muster"

// usesSDK tells whether a file is a Go program that the SDK's module is part of.
func usesSDK(file string) bool {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return false
	}
	return info.Main.Path == sdkModule || slices.ContainsFunc(info.Deps, func(m *debug.Module) bool { return m.Path == sdkModule })
}
