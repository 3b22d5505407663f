package command

import "slices"

// wrappers start the program in a process of its own and keep Node's channel to themselves.
var wrappers = []string{
	"nodemon", "tsx", "ts-node-dev", "tsnd", "cross-env-shell", "dotenv", "dotenvx", "env-cmd", "concurrently", "npm-run-all", "run-s", "run-p",
	"forever", "supervisor", "pm2", "pm2-runtime", "pm2-dev", "c8", "nyc", "npm-run-all2", "wireit", "nx", "turbo", "lerna",
}

// instead tells what to write instead of some of them.
var instead = map[string]string{
	"tsx":       "write node --import tsx FILE",
	"dotenv":    "use --env-file",
	"dotenvx":   "use --env-file",
	"env-cmd":   "use --env-file",
	"cross-env": "use --env NAME=value",
	"env":       "use --env NAME=value",
	"go":        "build the program first, and name that",
	"npm":       "name the script's program itself, after --",
}

func isWrapper(base string, args []string) bool {
	return slices.Contains(wrappers, base) || base == "go" && len(args) > 1 && args[1] == "run"
}

func wrapperNote(base string) string {
	advice := instead[base]
	if advice == "" {
		advice = "name the program itself, after --"
	}
	return base + " starts the program in a process of its own, so muster cannot hand sockets to it through Node's cluster; " + advice
}
