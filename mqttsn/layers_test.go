package mqttsn_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayImport is the architecture: what of this module each package may import.
// A package not listed may import nothing of it. Tests are exempt.
var mayImport = map[string][]string{
	"mqttsn":                  {},
	"mqttsn/clock":            {},
	"mqttsn/wheel":            {"mqttsn/clock"},
	"mqttsn/session":          {"mqttsn", "mqttsn/bounds", "mqttsn/clock"},
	"mqttsn/transport":        {},
	"mqttsn/transport/memnet": {"mqttsn/clock", "mqttsn/transport"},
	"mqttsn/transport/mmsg":   {},
	"mqttsn/transport/udp":    {"mqttsn/transport", "mqttsn/transport/mmsg"},
	"mqttsn/limit":            {"mqttsn/clock"},
	"mqttsn/transport/dtls": {"mqttsn/bounds", "mqttsn/clock", "mqttsn/index", "mqttsn/limit", "mqttsn/transport",
		"mqttsn/transport/dtls/handshake", "mqttsn/transport/dtls/record"},
	"mqttsn/transport/dtls/handshake": {"mqttsn/clock", "mqttsn/transport/dtls/record"},
	"mqttsn/transport/dtls/record":    {},
	"mqttsn/bounds":                   {}, // knows nothing of MQTT-SN, and core may have it
	"mqttsn/index":                    {}, // likewise
	"mqttsn/gateway":                  {"mqttsn", "mqttsn/bounds", "mqttsn/clock", "mqttsn/index", "mqttsn/limit", "mqttsn/session", "mqttsn/transport", "mqttsn/wheel"},
	"mqttsn/client":                   {"mqttsn", "mqttsn/bounds", "mqttsn/clock"},

	"core":                 {"core/router", "core/store", "mqttsn/bounds", "mqttsn/index"},
	"core/router":          {"mqttsn/index"},
	"core/store":           {},
	"core/store/disk":      {"core/store"},
	"core/store/storetest": {"core/store"},
	"core/auth":            {"core"},
	"core/mqtt":            {"core", "core/auth", "core/router", "mqttsn/bounds"},

	"bridge": {"core", "core/router", "mqttsn", "mqttsn/session"},

	"configs/strict": {},

	"sim": {"mqttsn", "mqttsn/client", "mqttsn/clock", "mqttsn/transport/dtls/record", "mqttsn/wheel", "sim/chance", "sim/energy", "sim/ledger", "sim/payload", "sim/radio", "sim/workload"},

	"sim/bench": {"mqttsn", "mqttsn/transport", "mqttsn/transport/dtls", "mqttsn/transport/dtls/handshake", "mqttsn/transport/dtls/record",
		"mqttsn/transport/udp", "sim/udp"},
	"sim/bench/echo":  {},
	"sim/bench/mochi": {},

	"sim/chance":   {},
	"sim/drive":    {"mqttsn", "mqttsn/clock", "mqttsn/transport/dtls/handshake", "mqttsn/transport/dtls/record", "mqttsn/wheel", "sim", "sim/payload", "sim/udp"},
	"sim/energy":   {"mqttsn", "mqttsn/bounds"}, // mqttsn for the types of packets and their names
	"sim/ledger":   {"mqttsn", "mqttsn/clock", "sim/payload"},
	"sim/mistakes": {},
	"sim/payload":  {"sim/chance"},
	"sim/radio":    {"mqttsn/clock", "sim/chance", "sim/mistakes"},
	"sim/report":   {"configs/strict", "mqttsn", "mqttsn/client", "sim", "sim/drive", "sim/energy", "sim/ledger", "sim/radio", "sim/workload"},
	"sim/simtest":  {"mqttsn", "mqttsn/client", "sim", "sim/energy", "sim/payload", "sim/radio", "sim/workload"},
	"sim/scenario": {"configs/strict", "mqttsn", "mqttsn/client", "sim", "sim/energy", "sim/payload", "sim/radio", "sim/report", "sim/workload"},
	"sim/udp":      {"mqttsn", "mqttsn/transport/mmsg"}, // mqttsn for the forwarder's envelope
	"sim/view":     {"mqttsn/client", "sim", "sim/ledger", "sim/radio"},
	"sim/workload": {"mqttsn", "mqttsn/clock", "sim/chance", "sim/mistakes", "sim/payload"},

	"cmd/dormouse/admin":  {"core", "core/auth", "mqttsn/gateway", "mqttsn/session"},
	"cmd/dormouse/config": {"configs/strict", "core/auth"},
	"cmd/dormouse": {"bridge", "cmd/dormouse/admin", "cmd/dormouse/config", "configs/strict", "core", "core/auth", "core/mqtt", "core/router", "core/store", "core/store/disk", "mqttsn", "mqttsn/client",
		"mqttsn/clock", "mqttsn/gateway", "mqttsn/session", "mqttsn/transport", "mqttsn/transport/dtls", "mqttsn/transport/dtls/handshake", "mqttsn/transport/dtls/record", "mqttsn/transport/udp",
		"sim", "sim/bench", "sim/bench/echo", "sim/drive", "sim/payload", "sim/report", "sim/scenario", "sim/udp", "sim/view", "sim/workload"},
}

// pure packages start no goroutine and touch no clock, network, file or lock:
// the same calls give the same actions. They import the standard library only,
// and of that nothing of these.
var (
	pure   = []string{"mqttsn", "mqttsn/session", "sim", "sim/chance", "sim/energy", "sim/ledger", "sim/mistakes", "sim/payload", "sim/radio", "sim/workload"}
	impure = []string{"net", "net/http", "os", "os/exec", "os/signal", "sync", "sync/atomic", "syscall",
		"context", "log", "log/slog", "math/rand", "math/rand/v2", "runtime", "testing"}
)

// only says who may import a foreign module at all.
var only = map[string][]string{
	"charm.land/":                  {"sim/view"},
	"github.com/HdrHistogram/":     {"sim", "sim/bench", "sim/report", "cmd/dormouse"},
	"github.com/mochi-mqtt/":       {"core/mqtt", "sim/bench/mochi"},
	"github.com/cockroachdb/":      {"core/store/disk"},
	"github.com/eclipse/":          {"cmd/dormouse", "sim/bench"},
	"github.com/alecthomas/kong":   {"cmd/dormouse"},
	"github.com/fxamacker/cbor/":   {"sim/payload"},
	"github.com/goccy/go-yaml":     {"configs/strict"},
	"github.com/golang-jwt/jwt/":   {"core/auth"},
	"github.com/MicahParks/jwkset": {"core/auth"},
	"github.com/gopacket/gopacket": {"cmd/dormouse"},
	"github.com/gorilla/websocket": {"core/mqtt"},
	"github.com/mattn/go-isatty":   {"cmd/dormouse"},
	"github.com/pion/":             {"mqttsn/transport/dtls/handshake", "mqttsn/transport/dtls/record"},
	"github.com/pires/":            {"core/mqtt"},
	"github.com/prometheus/":       {"cmd/dormouse/admin", "sim/bench", "sim/report", "cmd/dormouse"},
	"github.com/rs/zerolog":        {"cmd/dormouse", "cmd/dormouse/admin", "core", "core/mqtt", "core/store/disk"},
	"pgregory.net/rapid":           {"core/store/storetest"},
	"golang.org/x/":                {"mqttsn/client", "mqttsn/transport/mmsg", "mqttsn/transport/udp", "sim/bench", "sim/bench/echo", "sim/udp", "core/auth", "core/mqtt", "cmd/dormouse", "cmd/dormouse/admin"},
}

func TestLayers(t *testing.T) {
	const module = "dormouse/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		pkg := strings.TrimPrefix(f[0], module)
		for _, imp := range f[1:] {
			dep, ours := strings.CutPrefix(imp, module)
			first, _, _ := strings.Cut(imp, "/")
			switch {
			case ours:
				if !slices.Contains(mayImport[pkg], dep) {
					t.Errorf("%s may not import %s", pkg, dep)
				}
			case strings.Contains(first, "."):
				if !mayImportForeign(pkg, imp) {
					t.Errorf("%s may not import %s", pkg, imp)
				}
			case slices.Contains(pure, pkg) && slices.Contains(impure, imp):
				t.Errorf("%s is pure and may not import %q", pkg, imp)
			}
		}
	}
}

func mayImportForeign(pkg, imp string) bool {
	for prefix, pkgs := range only {
		if strings.HasPrefix(imp, prefix) {
			return slices.Contains(pkgs, pkg)
		}
	}
	return false
}

// clocks are the functions of package time that ask or wait for a clock.
var clocks = []string{"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until"}

// TestPure finds what imports alone do not show: goroutines and clocks.
func TestPure(t *testing.T) {
	for _, pkg := range pure {
		files, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", pkg, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%v: a pure package starts no goroutine", fset.Position(n.Pos()))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
						t.Errorf("%v: a pure package asks no clock: time.%s", fset.Position(n.Pos()), n.Sel.Name)
					}
				}
				return true
			})
		}
	}
}
