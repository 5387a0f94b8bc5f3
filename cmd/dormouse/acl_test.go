package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestACLTest: the rule that decides is named with the place where it is written,
// and the exit status says whether it allows.
func TestACLTest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	rules := write("acl.yaml", `rules:
  - {role: sensor, allow: publish, topic: "sensors/{clientid}/#", max_qos: 1, retain: false}
  - {role: sensor, allow: subscribe, topic: "cmd/{clientid}/+", max_qos: 1}
  - {user: "plant-*", from: [10.1.0.0/16, loopback], allow: all, topic: plant/#}
  - deny: subscribe
    topic: secret/#
  - {allow: subscribe, topic: "#", max_qos: 1}
`)
	file := write("d.yaml", `auth:
  providers: [{type: passwd, file: nobody}]
  anonymous: {role: anon}
  roles: [{role: sensor, listeners: [sn]}]
acl: {file: `+rules+`}
`)
	open := write("open.yaml", "version: 1\n")
	told := write("told.yaml", `auth: {providers: [{type: http, url: "http://127.0.0.1:1/"}]}
acl: {rules: [{role: ops, allow: publish, topic: "ops/#"}, {role: sys, allow: publish, topic: "sys/#"}]}
`)
	for _, tt := range []struct {
		file, args string
		status     int
		says       string
	}{
		{file, "--listener sn --client s1 --pub sensors/s1/t", 0,
			"allowed: " + rules + `:2: {role: "sensor", allow: publish, topic: "sensors/{clientid}/#", max_qos: 1, retain: false}` + "\nroles: anon, sensor\n"},
		{file, "--listener sn --client s1 --pub sensors/s2/t", 1, "denied: no rule is about it, and by default nothing is allowed\nroles: anon, sensor\n"},
		{file, "--listener sn --client s1 --pub -q 2 sensors/s1/t", 1, "denied: no rule"},
		{file, "--listener sn --client s1 --pub -r sensors/s1/t", 1, "denied: no rule"},
		{file, "--listener sn --client s1 --sub -q 2 cmd/s1/+", 0, "allowed at QoS 1: " + rules + ":3: "},
		{file, "--user plant-1 --from 10.1.2.3 --pub plant/x", 0, "allowed: " + rules + `:4: {user: "plant-*", from: [10.1.0.0/16, 127.0.0.0/8, ::1/128], allow: all, topic: "plant/#"}` + "\n"},
		{file, "--user plant-1 --from 10.2.2.3 --pub plant/x", 1, "denied: no rule"},
		{file, "--user plant-1 --pub plant/x", 1, "denied: no rule"},
		{file, "--user x --sub secret/a", 1, "denied: " + rules + `:5: {deny: subscribe, topic: "secret/#"}` + "\n"},
		{file, "--user x --sub $share/g/#", 1, "denied: " + rules + ":5: "},
		{file, "--user x --sub #", 0, "allowed: " + rules + ":7: "},
		{file, "--user x --from 127.0.0.1 --sub $SYS/#", 0, `allowed: sys_topics.allow: {from: [127.0.0.0/8, ::1/128], allow: subscribe, topic: "$SYS/#"}` + "\n"},
		{file, "--user x --from 10.0.0.1 --sub $SYS/#", 1, "denied: sys_topics: "},
		{told, "--user x --pub sys/a", 1, "denied: no rule"},
		{told, "--user x --role ops --role sys --pub sys/a", 0, "allowed: " + told + `:2: {role: "sys", allow: publish, topic: "sys/#"}` + "\nroles: ops, sys\n"},
		{open, "--pub a", 0, "allowed: no rule is about it, and by default all is allowed\n"},
		{open, "--pub $SYS/a", 1, "denied: what begins with $ is the broker's own\n"},
		{file, "--client b --pub $SYS/broker/connection/b/state", 0, "allowed: built in: "},

		{file, "--pub a/#", 2, "dormouse acl test: "},
		{file, "--sub a/#/b", 2, "dormouse acl test: "},
		{file, "--pub --sub a", 2, "--pub and --sub can't be used together"},
		{file, "a", 2, "missing flags"},
		{file, "--pub -q 3 a", 2, "--qos is 3; it must be 0, 1 or 2"},
		{file, "--sub -r a", 2, "--retain is about what is published"},
		{file, "--listener none --pub a", 2, `there is no listener "none"`},
		{file, "--from here --pub a", 2, `--from is "here"; it must be an IP address`},
		{"none", "--pub a", 2, "there is no such file"},
	} {
		t.Run(filepath.Base(tt.file)+" "+tt.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			args := append([]string{"acl", "test", "-c", tt.file}, strings.Fields(tt.args)...)
			status := run(args, strings.NewReader(""), &out, &errs)
			says := out.String()
			if tt.status == statusUsage {
				says = errs.String()
			}
			if status != tt.status || !strings.Contains(says, tt.says) || tt.status < 2 && !strings.HasPrefix(says, tt.says) {
				t.Errorf("status %d, it says\n%s%s\nwant %d and\n%s", status, out.String(), errs.String(), tt.status, tt.says)
			}
		})
	}
}
