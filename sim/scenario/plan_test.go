package scenario

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"dormouse/sim"
)

// TestShipped pins the plan that each shipped scenario makes, as it is and in
// ten seconds, and what is said of it.
func TestShipped(t *testing.T) {
	var names []string
	for _, e := range Shipped() {
		names = append(names, e.Name)
		t.Run(e.Name, func(t *testing.T) {
			s, err := Load(e.Name)
			if err != nil {
				t.Fatal(err)
			}
			if s.Name() != e.Name || s.About() != e.About || e.About == "" {
				t.Errorf("it is called %q, %q, and listed as %q, %q", s.Name(), s.About(), e.Name, e.About)
			}
			p, err := s.Plan(Overrides{})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, e.Name+".plan", dump(p))
			var text strings.Builder
			if err := s.Explain(&text, Overrides{}); err != nil {
				t.Fatal(err)
			}
			golden(t, e.Name+".txt", text.String())

			short, err := s.Plan(Overrides{Nodes: 100, Duration: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, e.Name+".short.plan", dump(short))
			devices := 0
			for _, g := range short.Groups {
				devices += g.Count
			}
			if devices != 100 || short.Duration() != 10*time.Second {
				t.Errorf("the short run has %d devices and takes %v", devices, short.Duration())
			}
			if e.Name != "quiet-week" && short.Settle > 5*time.Second {
				t.Errorf("the short run settles for %v", short.Settle)
			}
		})
	}
	want := "dtls-battery dtls-rebinding firmware-rollout gateway-restart lossy-radio mass-wake nat-rebinding port-reuse quiet-week topic-explosion"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("shipped are %s, want %s", got, want)
	}
}

// dump writes what is set in a plan, a field a line.
func dump(p *sim.Plan) string {
	var b strings.Builder
	var walk func(key string, v reflect.Value)
	walk = func(key string, v reflect.Value) {
		switch {
		case v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 || strings.HasSuffix(key, "Sources"):
		case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
			walk(key, v.Elem())
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(key+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Float64:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", key, i), v.Index(i))
			}
		case v.Kind() == reflect.Map:
			for _, g := range p.Groups {
				if e := v.MapIndex(reflect.ValueOf(g.Name)); e.IsValid() {
					if e.IsZero() {
						fmt.Fprintf(&b, "%s[%s] zero\n", key, g.Name)
					}
					walk(key+"["+g.Name+"]", e)
				}
			}
			for _, e := range v.MapKeys() {
				if v.Len() == 1 && !strings.Contains(b.String(), key) { // a site
					walk(key+"["+e.String()+"]", v.MapIndex(e))
				}
			}
		default:
			fmt.Fprintf(&b, "%s %v\n", key, v)
		}
	}
	walk("", reflect.ValueOf(p))
	return b.String()
}
