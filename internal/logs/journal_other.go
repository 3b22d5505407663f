//go:build !linux

package logs

import "os"

// IsJournal is false: there is no journal here.
func IsJournal(*os.File) bool { return false }
