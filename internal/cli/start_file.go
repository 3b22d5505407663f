package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/musterd/muster/api"
	"github.com/musterd/muster/internal/config"
	"github.com/musterd/muster/internal/order"
	"github.com/spf13/cobra"
)

// startFile starts the apps of an app file. Nothing is started if anything in it is wrong.
func (s *startCommand) startFile(cmd *cobra.Command, args []string) error {
	file := "."
	if len(args) > 0 {
		file = args[0]
		rest, err := parseRest(cmd, args[1:])
		if err != nil {
			return err
		}
		if len(rest) > 0 {
			return &usageError{"one app file at a time, got " + strings.Join(args, " "), "a file can include others; to start some of its apps: --only NAME"}
		}
	}
	if s.isSpec(cmd.Flags()) {
		return &usageError{"flags that say something of an app do not go with an app file", "write them into the file"}
	}
	ctx, cancel := s.limited(cmd.Context())
	defer cancel()
	entries, notes, err := config.Load(file, config.Options{Environment: s.environment, Only: s.only, WithNeeds: true})
	for _, note := range notes {
		fmt.Fprintln(s.stderr, "muster: "+note.String())
	}
	if err != nil {
		return err
	}
	launches, err := s.launchesOf(entries)
	if err != nil {
		return err
	}
	daemon, err := aDaemon(ctx)
	if err != nil {
		return err
	}
	defer daemon.Close()
	subjects, graph := make([]subject, len(launches)), order.Graph{}
	byName := map[string]api.Launch{}
	for i, l := range launches {
		subjects[i], byName[l.Spec.Name], graph[l.Spec.Name] = subject{name: l.Spec.Name}, l, l.Spec.DependsOn
	}
	turns := newTurns(graph)
	return atOnce(ctx, s.stderr, sorted(graph, subjects), manyStarts, func(ctx context.Context, known subject, leave func()) error {
		f := s.one(len(launches) > 1)
		f.booted = leave
		answer, err := turns.ask(ctx, known.name, func() (api.StartAnswer, error) {
			return daemon.Start(ctx, api.StartRequest{Launch: byName[known.name], UpdateEnv: s.updateEnv, Keep: turns.isNeeded(known.name)})
		})
		if err != nil {
			return f.timedOut(known.name, err)
		}
		return f.started(ctx, daemon, answer)
	})
}

func (s *startCommand) launchesOf(entries []config.Entry) ([]api.Launch, error) {
	env := os.Environ()
	launches := make([]api.Launch, 0, len(entries))
	for _, e := range entries {
		l, err := s.resolved(api.Launch{Spec: e.Spec, Base: e.Base, FileForm: e.FileForm, Env: env})
		if err != nil {
			return nil, fmt.Errorf("%s: app %s: %w", e.At, e.Name, err)
		}
		launches = append(launches, l)
	}
	return launches, nil
}
