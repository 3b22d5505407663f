package command_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/musterd/muster/internal/command"
)

const manifest = `{
  "name": "shop", "version": "1.2.3",
  "scripts": {
    "start": "node server.js",
    "prestart": "npm run build",
    "build": "tsc",
    "env": "NODE_ENV=production PORT='8 0' node --title x server.js",
    "next": "next start",
    "again": "npm run env -- --last",
    "cross": "cross-env NODE_ENV=production node server.js",
    "crossexpand": "cross-env A=$B node server.js",
    "dotenv": "dotenv -e .env -- node server.js",
    "exec": "exec node server.js",
    "expand": "PORT=$P node server.js",
    "expandexec": "exec node $FILE",
    "several": "npm run build && node server.js",
    "builtin": "cd dist",
    "args": "node server.js 'a b'",
    "loop": "npm run loop2", "loop2": "npm run loop",
    "missing": "nosuchprogram x",
    "empty": " ",
    "noscript": "node nosuch.js",
    "shim": "shim"
  }
}`

// npmEnv is what a package manager would set.
func npmEnv(name, script string, more ...string) []string {
	return append([]string{
		"npm_lifecycle_event=" + name, "npm_lifecycle_script=" + script, "npm_package_name=shop", "npm_package_version=1.2.3",
		"npm_package_json=ROOT/app/package.json", "INIT_CWD=ROOT/app",
	}, more...)
}

func shop(t *testing.T) string {
	t.Helper()
	return tree(t, machine, map[string]string{
		"app/package.json": manifest, "app/server.js": "",
		"app/node_modules/.bin/next":       "#!/usr/bin/env node\n",
		"app/node_modules/.bin/dotenv":     "#!/usr/bin/env node\n",
		"app/node_modules/.bin/cross-env":  "#!/usr/bin/env node\n",
		"app/node_modules/.bin/shim":       "#!/bin/sh\nexec node \"$basedir/../x.js\" \"$@\"\n",
		"app/node_modules/.bin/python-app": "#!/usr/bin/env python3\n",
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	start := result{
		Argv: "node|server.js", Path: "ROOT/bin/node", Node: true, Package: "shop",
		Env: npmEnv("start", "node server.js"), Notes: []string{"the script prestart does not run"},
	}
	withArgs := start
	withArgs.Argv = "node|server.js|a b|-v"
	tests := []struct {
		line string
		want result
	}{
		{"npm start", start},
		{"npm run start", start},
		{"npm --silent run-script start", start},
		{"npm run -s start", start},
		{"yarn start", start},
		{"yarn run start", start},
		{"pnpm start", start},
		{"pnpm run start", start},
		{"npm start -- a\x00b -v", withArgs},
		{"npm start a\x00b --for-npm -- -v", withArgs},
		{"yarn start a\x00b -v", withArgs},
		{"pnpm run start -- a\x00b -v", withArgs},
		{"npm run env", result{
			Argv: "node|--title|x|server.js", Path: "ROOT/bin/node", Node: true, Package: "shop",
			Env: npmEnv("env", "NODE_ENV=production PORT='8 0' node --title x server.js", "NODE_ENV=production", "PORT=8 0"),
		}},
		{"npm run next", result{Argv: "next|start", Path: "ROOT/app/node_modules/.bin/next", Node: true, Package: "shop", Env: npmEnv("next", "next start")}},
		{"yarn cross", result{
			Argv: "node|server.js", Path: "ROOT/bin/node", Node: true, Package: "shop",
			Env: npmEnv("cross", "cross-env NODE_ENV=production node server.js", "NODE_ENV=production"),
		}},
		{"npm run crossexpand", result{
			Argv: "sh|-c|exec cross-env A=$B node server.js", Path: "ROOT/bin/sh", Package: "shop",
			Env: npmEnv("crossexpand", "cross-env A=$B node server.js"), Notes: []string{"cross-env starts the program in a process of its own"},
		}},
		{"npm run dotenv", result{
			Argv: "dotenv|-e|.env|--|node|server.js", Path: "ROOT/app/node_modules/.bin/dotenv", Package: "shop",
			Env: npmEnv("dotenv", "dotenv -e .env -- node server.js"), Notes: []string{"use --env-file"},
		}},
		{"npm run exec", result{Argv: "node|server.js", Path: "ROOT/bin/node", Node: true, Package: "shop", Env: npmEnv("exec", "exec node server.js")}},
		{"npm run expand x", result{
			Argv: "sh|-c|PORT=$P exec node server.js x", Path: "ROOT/bin/sh", Node: true, Package: "shop", Env: npmEnv("expand", "PORT=$P node server.js"),
		}},
		{"npm run expandexec", result{Argv: "sh|-c|exec node $FILE", Path: "ROOT/bin/sh", Node: true, Package: "shop", Env: npmEnv("expandexec", "exec node $FILE")}},
		{"npm run several -- it's", result{
			Argv: `sh|-c|npm run build && node server.js 'it'\''s'`, Path: "ROOT/bin/sh", Package: "shop",
			Env: npmEnv("several", "npm run build && node server.js"), Notes: []string{"the script several does more than run one program"},
		}},
		{"npm run builtin", result{
			Argv: "sh|-c|cd dist", Path: "ROOT/bin/sh", Package: "shop", Env: npmEnv("builtin", "cd dist"), Notes: []string{"the script builtin does more"},
		}},
		{"npm run args", result{Argv: "node|server.js|a b", Path: "ROOT/bin/node", Node: true, Package: "shop", Env: npmEnv("args", "node server.js 'a b'")}},
		{"npm run shim", result{Argv: "shim", Path: "ROOT/app/node_modules/.bin/shim", Node: true, Package: "shop", Env: npmEnv("shim", "shim")}},
		{"node --run env", result{
			Argv: "node|--title|x|server.js", Path: "ROOT/bin/node", Node: true, Package: "shop",
			Env: []string{"NODE_RUN_SCRIPT_NAME=env", "NODE_RUN_PACKAGE_JSON_PATH=ROOT/app/package.json", "NODE_ENV=production", "PORT=8 0"},
		}},
		{"node --run=args -- z", result{
			Argv: "node|server.js|a b|z", Path: "ROOT/bin/node", Node: true, Package: "shop",
			Env: []string{"NODE_RUN_SCRIPT_NAME=args", "NODE_RUN_PACKAGE_JSON_PATH=ROOT/app/package.json"},
		}},
		{"npx next start", result{Argv: "next|start", Path: "ROOT/app/node_modules/.bin/next", Node: true}},
		{"npx --yes python-app", result{Argv: "python-app", Path: "ROOT/app/node_modules/.bin/python-app"}},
		{"npm exec -- next", result{Argv: "next", Path: "ROOT/app/node_modules/.bin/next", Node: true}},
		{"pnpm exec gunicorn", result{Argv: "gunicorn", Path: "ROOT/bin/gunicorn"}},
		{"yarn python-app a", result{Argv: "python-app|a", Path: "ROOT/app/node_modules/.bin/python-app"}},
	}
	root := shop(t)
	for _, test := range tests {
		t.Run(test.line, func(t *testing.T) {
			t.Parallel()
			args := strings.Split(test.line, " ")
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "\x00", " ")
			}
			got, err := command.Resolve(args, root+"/app", root+"/bin", false)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Dir, test.want.Prepend = "ROOT/app", []string{"ROOT/app/node_modules/.bin"}
			check(t, root, test.want, got)
		})
	}
}

// TestManagersThatStay are command lines that are left as they are.
func TestManagersThatStay(t *testing.T) {
	t.Parallel()
	root := shop(t)
	for line, note := range map[string]string{
		"npm --prefix x start":      `muster cannot look through "npm --prefix x start"`,
		"npm test":                  "muster cannot look through",
		"npm":                       "muster cannot look through",
		"npm run":                   "muster cannot look through",
		"yarn install":              "muster cannot look through",
		"pnpm -C x start":           "muster cannot look through",
		"npx http-server":           "http-server is not installed in the package",
		"npx -p typescript tsc":     "muster cannot look through",
		"npx serve@14 -l 80":        "muster cannot look through",
		"yarn run --inspect start":  "muster cannot look through",
		"npm exec -c something":     "muster cannot look through",
		"pnpm exec --recursive x":   "muster cannot look through",
		"npx --package=x something": "muster cannot look through",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			got, err := resolve(root, line, false)
			if err != nil {
				t.Fatal(err)
			}
			manager, _, _ := strings.Cut(line, " ")
			check(t, root, result{Argv: strings.ReplaceAll(line, " ", "|"), Path: "ROOT/bin/" + manager, Dir: "ROOT/app", Notes: []string{note}}, got)
		})
	}
}

func TestScriptOfTwoPackages(t *testing.T) {
	t.Parallel()
	root := tree(t, machine, map[string]string{
		"app/package.json":           `{"name":"outer"}`,
		"app/node_modules/.bin/tool": program,
		"app/pkg/package.json":       `{"name":"inner","scripts":{"start":"npm run serve -- --port 80","serve":"NAME=x node server.js"}}`,
		"app/pkg/server.js":          "",
		"app/pkg/src/deep/x":         "",
	})
	got, err := command.Resolve([]string{"npm", "start"}, root+"/app/pkg/src/deep", root+"/bin", false)
	if err != nil {
		t.Fatal(err)
	}
	pkg := "ROOT/app/pkg/package.json"
	check(t, root, result{
		Argv: "node|server.js|--port|80", Path: "ROOT/bin/node", Dir: "ROOT/app/pkg", Node: true, Package: "inner",
		Prepend: []string{"ROOT/app/node_modules/.bin"},
		Env: []string{
			"npm_lifecycle_event=start", "npm_lifecycle_script=npm run serve -- --port 80", "npm_package_name=inner", "npm_package_version=",
			"npm_package_json=" + pkg, "INIT_CWD=ROOT/app/pkg/src/deep",
			"npm_lifecycle_event=serve", "npm_lifecycle_script=NAME=x node server.js", "npm_package_name=inner", "npm_package_version=",
			"npm_package_json=" + pkg, "INIT_CWD=ROOT/app/pkg", "NAME=x",
		},
	}, got)
}

func TestNpmStartsServerJS(t *testing.T) {
	t.Parallel()
	root := tree(t, machine, map[string]string{"app/package.json": `{}`, "app/server.js": ""})
	got, err := resolve(root, "npm start", false)
	if err != nil || strings.Join(got.Argv, " ") != "node server.js" || !got.Node {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestScriptErrors(t *testing.T) {
	t.Parallel()
	root := shop(t)
	inScript := func(name string) string { return fmt.Sprintf("script %s of ROOT/app/package.json: ", name) }
	tests := []struct{ line, message, hint string }{
		{"npm run strat", `command "npm run strat": ROOT/app/package.json has no script "strat"`, "did you mean start? Its scripts are again, args"},
		{"npm run qqqqqq", `command "npm run qqqqqq": ROOT/app/package.json has no script "qqqqqq"`, "its scripts are again, args"},
		{"yarn qqqqqq", `command "yarn run qqqqqq": ROOT/app/package.json has no script "qqqqqq"`, "its scripts are again, args"},
		{"npm run missing", inScript("missing") + `command "nosuchprogram": not found in PATH`, "install it"},
		{"npm run noscript", inScript("noscript") + `command "nosuch.js": no such file in ROOT/app`, "--cwd"},
		{"npm run empty", inScript("empty") + `command " ": runs no program`, ""},
	}
	for _, test := range tests {
		t.Run(test.line, func(t *testing.T) {
			t.Parallel()
			_, err := resolve(root, test.line, false)
			checkError(t, root, err, test.message, test.hint)
		})
	}
	t.Run("scripts that run each other", func(t *testing.T) {
		t.Parallel()
		_, err := resolve(root, "npm run loop", false)
		if err == nil || !strings.Contains(err.Error(), "its scripts run each other") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPackageErrors(t *testing.T) {
	t.Parallel()
	root := tree(t, machine, map[string]string{"app/": "", "none/package.json": `{}`, "bad/package.json": `{"scripts": []}`, "dir/package.json/": ""})
	tests := []struct{ dir, message, hint string }{
		{"app", `command "npm run start": there is no package.json in ROOT/app or above`, "--cwd"},
		{"none", `command "npm run start": ROOT/none/package.json has no script "start"`, "it has no scripts at all"},
		{"bad", `command "npm run start": read ROOT/bad/package.json: json: cannot unmarshal array into Go struct field pkg.scripts of type map[string]string`, ""},
		{"dir", `command "npm run start": read ROOT/dir/package.json: is a directory`, ""},
	}
	for _, test := range tests {
		t.Run(test.dir, func(t *testing.T) {
			t.Parallel()
			_, err := command.Resolve([]string{"npm", "start"}, root+"/"+test.dir, root+"/bin", false)
			checkError(t, root, err, test.message, test.hint)
		})
	}
}
