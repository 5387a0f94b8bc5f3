package scenario

import (
	"strings"

	"dormouse/configs/strict"
)

// parseSetting parses "a.b.c=value" as the document {a: {b: {c: value}}}. A
// value that is not a list, a section or quoted need not be quoted here.
func parseSetting(arg string) (*strict.Document, *strict.Problem) {
	name := "--with " + arg
	complain := func(format string, args ...any) (*strict.Document, *strict.Problem) {
		return nil, strict.Place{Source: &strict.Source{Name: name}}.Problem(format, args...)
	}
	key, value, ok := strings.Cut(arg, "=")
	if !ok {
		return complain("there is no value; write KEY=VALUE, such as reports.every=5s")
	}
	parts := strings.Split(key, ".")
	for _, p := range parts {
		if strings.Trim(p, " ") == "" {
			return complain("%q is not a key; write one like reports.every", key)
		}
	}
	if len(parts) > strict.MaxDepth {
		return complain("%q is no key of a scenario", key)
	}
	if !strings.ContainsAny(value[:min(1, len(value))], `[{"'`) {
		value = quoted(value)
	}
	text := value
	for i := len(parts) - 1; i >= 0; i-- {
		text = "{" + quoted(parts[i]) + ": " + text + "}"
	}
	return strict.ParseArgument(name, text)
}

// quoted writes s in YAML's double quotes.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
}
