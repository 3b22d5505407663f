// Package watch tells when files change.
//
// A path may be a file, a folder with everything below it, a symbolic link to either, or not exist yet. What editors do to save a file (write
// it in place, or write another and rename it) is a change either way. Links within a folder are not followed.
package watch
