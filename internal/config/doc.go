// Package config reads app files: muster.yaml and muster.json, PM2's ecosystem files, Procfiles. What an app may say stands in app.Spec
// alone: its JSON names are the keys of a file, and a type that reads itself from text does so here too.
//
// A file is read as strictly as a command line. Whatever is not understood is an Error with file, line and column; all errors of a file
// are returned, in its order.
package config
