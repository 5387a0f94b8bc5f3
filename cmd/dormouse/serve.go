package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// drainTime bounds the farewell: a supervisor that sends SIGTERM must not have
// to wait for its SIGKILL.
const drainTime = 8 * time.Second

type serveCmd struct{ settings }

// Run opens what the configuration names, says so on standard output, and
// serves until SIGTERM or SIGINT; then it drains. A second signal ends the
// process at once. SIGHUP has it reload.
func (c *serveCmd) Run(s *streams) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer restore()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	defer signal.Stop(reload)
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go; that is no reason to

	syscall.Umask(0o077) // what is kept is nobody else's, whoever gives data_dir another mode later

	srv, err := open(cfg, newLog(cfg, s.err))
	if err != nil {
		return err
	}
	srv.load = c.load
	for _, line := range srv.opened {
		fmt.Fprintln(s.out, line)
	}
	failed := srv.start()
	fmt.Fprintln(s.out, "ready")

	for serving := true; serving; {
		select {
		case <-reload:
			_, _ = srv.reload() // the log says how it went
		case err = <-failed:
			serving = false
		case <-ctx.Done():
			restore()
			serving = false
		}
	}
	if srv.kept.failed() { // there is nothing left to promise to anybody
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if late := srv.drain(ctx); err == nil && late != nil {
		err = &failure{statusLate, late}
	}
	return err
}
