package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"dormouse/cmd/dormouse/config"
	"dormouse/configs/strict"
	"dormouse/core/auth"
)

// settings are the flags that say what is configured.
type settings struct {
	Config *string  `short:"c" placeholder:"FILE" help:"Configuration file, YAML. Without it the defaults hold."`
	Set    []string `sep:"none" placeholder:"KEY=VALUE" help:"Set one key over the file, such as mqttsn.gateway_id=7. Repeatable."`
}

// load returns the configuration; wrong settings ask for statusUsage.
func (s *settings) load() (*config.Config, error) {
	file := ""
	if s.Config != nil {
		if file = *s.Config; file == "" { // a variable that is not set, perhaps
			return nil, usage("-c is empty; give it the name of a file, or leave it out for the defaults")
		}
	}
	c, err := config.Load(file, s.Set)
	if err != nil {
		return nil, &failure{statusUsage, err}
	}
	return c, nil
}

type checkCmd struct {
	settings
	Format string `enum:"text,json" default:"text" help:"How to report: text or json."`
}

// Run reports what is wrong with a configuration: in JSON to standard output
// for programs, as text to standard error.
func (c *checkCmd) Run(s *streams) error {
	cfg, err := c.load()
	if err == nil {
		err = checkFiles(cfg, s.err)
	}
	var problems strict.Problems
	if told := err == nil || errors.As(err, &problems); told && c.Format == "json" {
		report := struct {
			OK       bool            `json:"ok"`
			Problems strict.Problems `json:"problems"`
		}{err == nil, problems}
		if err != nil {
			err = &failure{statusUsage, nil} // it is told in full
		}
		return errors.Join(err, json.NewEncoder(s.out).Encode(report))
	}
	if err == nil {
		fmt.Fprintln(s.out, "ok")
	}
	return err
}

// checkFiles reads the files that c names, warns of what is unwise and returns
// what is wrong.
func checkFiles(c *config.Config, warnings io.Writer) error {
	known, err := auth.New(authOptions(c))
	if err != nil {
		return &failure{statusUsage, asProblems(err)}
	}
	certificates, err := readCertificates(c)
	if err != nil {
		return &failure{statusUsage, err}
	}
	warn := func(file, says string) { fmt.Fprintf(warnings, "dormouse check: warning: %s: %s\n", file, says) }
	for _, file := range known.Exposed() {
		warn(file, exposedAdvice)
	}
	for _, each := range certificates {
		if _, says := validity(each.leaf(), time.Now()); says != "" {
			warn(each.listener.TLS.CertFile, says)
		}
	}
	return nil
}

// asProblems is what is wrong with password files as a configuration's own.
func asProblems(err error) error {
	var found auth.Problems
	if !errors.As(err, &found) {
		return err
	}
	var ps strict.Problems
	for _, p := range found {
		ps = append(ps, &strict.Problem{Source: p.File, Line: p.Line, Column: min(p.Line, 1), Message: p.Message})
	}
	return ps
}
