package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

// An attr is one of a subject; those of one slice share a place.
type attr struct {
	oid   asn1.ObjectIdentifier
	tag   int
	value string
}

var oidUnit = asn1.ObjectIdentifier{2, 5, 4, 11}

func cn(value string) attr { return attr{oidCommonName, asn1.TagUTF8String, value} }

// issue makes a certificate with that subject, and with those names as its
// alternative names if there are any.
func issue(t *testing.T, subject [][]attr, names ...asn1.RawValue) *x509.Certificate {
	t.Helper()
	must := func(der []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	places := []relativeNameSET{}
	for _, p := range subject {
		var place relativeNameSET
		for _, a := range p {
			place = append(place, struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}{a.oid, asn1.RawValue{Tag: a.tag, Bytes: []byte(a.value)}})
		}
		places = append(places, place)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), RawSubject: must(asn1.Marshal(places))}
	if len(names) > 0 {
		template.ExtraExtensions = []pkix.Extension{{Id: oidSubjectAlt, Value: must(asn1.Marshal(names))}}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func alternative(tag int, value string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(value)}
}

// TestHostile31: a certificate names one user, or nobody. The canary, who has an
// ordinary one, gets in before and after each odd one.
func TestHostile31(t *testing.T) {
	a := authenticator(t, Options{Anonymous: Anywhere, Names: map[string]NameIn{"cn": InCommonName, "uri": InURI, "dns": InDNSName}})
	enter := func(t *testing.T, listener string, c *x509.Certificate) (string, error) {
		who := calling("admin") // which means nothing
		who.Listener = listener
		as, err := a.Authenticate(Credentials{Identity: who, Password: []byte("x"), Certificate: c})
		return as.User, err
	}
	good := issue(t, [][]attr{{cn("canary")}})
	uri, dns := func(s string) asn1.RawValue { return alternative(tagURI, s) }, func(s string) asn1.RawValue { return alternative(tagDNSName, s) }
	for name, tt := range map[string]struct {
		listener string
		subject  [][]attr
		names    []asn1.RawValue
		want     string // a user, or part of what is wrong after "!"
	}{
		"a name":                    {"cn", [][]attr{{{oidUnit, asn1.TagUTF8String, "plant"}}, {cn("ann")}}, nil, "ann"},
		"a printable one":           {"cn", [][]attr{{{oidCommonName, asn1.TagPrintableString, "ann"}}}, nil, "ann"},
		"one of letters of all":     {"cn", [][]attr{{cn("Ännchen")}}, nil, "Ännchen"},
		"no name":                   {"cn", [][]attr{{{oidUnit, asn1.TagUTF8String, "plant"}}}, nil, "!0 of common name"},
		"no subject":                {"cn", nil, nil, "!0 of common name"},
		"two names":                 {"cn", [][]attr{{cn("ann")}, {cn("admin")}}, nil, "!2 of common name"},
		"the same twice":            {"cn", [][]attr{{cn("ann")}, {cn("ann")}}, nil, "!2 of common name"},
		"two names in one place":    {"cn", [][]attr{{cn("ann"), cn("admin")}}, nil, "!shares its place"},
		"another in its place":      {"cn", [][]attr{{cn("ann"), {oidUnit, asn1.TagUTF8String, "admin"}}}, nil, "!shares its place"},
		"a NUL":                     {"cn", [][]attr{{cn("admin\x00.evil")}}, nil, "!cannot be printed"},
		"a line end":                {"cn", [][]attr{{cn("ann\nadmin")}}, nil, "!cannot be printed"},
		"a blank":                   {"cn", [][]attr{{cn("admin ")}}, nil, "!blank"},
		"nothing":                   {"cn", [][]attr{{cn("")}}, nil, "!0 octets"},
		"too much":                  {"cn", [][]attr{{cn(strings.Repeat("a", maxName+1))}}, nil, "!257 octets"},
		"two octets a letter":       {"cn", [][]attr{{{oidCommonName, asn1.TagBMPString, "\x00a\x00d"}}}, nil, "!neither"},
		"Latin letters":             {"cn", [][]attr{{{oidCommonName, asn1.TagT61String, "\xe4dmin"}}}, nil, "!neither"},
		"a name elsewhere":          {"cn", nil, []asn1.RawValue{uri("urn:ann")}, "!0 of common name"},
		"a URI":                     {"uri", [][]attr{{cn("admin")}}, []asn1.RawValue{dns("a.example"), uri("urn:dev:Ann")}, "urn:dev:Ann"},
		"a URI octet for octet":     {"uri", nil, []asn1.RawValue{uri("URN:dev:%61nn")}, "URN:dev:%61nn"},
		"two URIs":                  {"uri", nil, []asn1.RawValue{uri("urn:ann"), uri("urn:admin")}, "!2 of URI"},
		"no URI":                    {"uri", [][]attr{{cn("urn:ann")}}, []asn1.RawValue{dns("a.example")}, "!0 of URI"},
		"a DNS name":                {"dns", nil, []asn1.RawValue{dns("Sensor-1.Example")}, "sensor-1.example"},
		"all DNS names":             {"dns", nil, []asn1.RawValue{dns("*.example")}, "!that of many"},
		"two DNS names":             {"dns", nil, []asn1.RawValue{dns("a.example"), dns("b.example")}, "!2 of DNS name"},
		"a DNS name with a NUL":     {"dns", nil, []asn1.RawValue{dns("a.example\x00.evil")}, "!cannot be printed"},
		"a name that is not looked": {"elsewhere", [][]attr{{cn("ann")}}, nil, "!bad user name"},
	} {
		t.Run(name, func(t *testing.T) {
			user, err := enter(t, tt.listener, issue(t, tt.subject, tt.names...))
			says, bad := strings.CutPrefix(tt.want, "!")
			switch {
			case bad && (err == nil || !strings.Contains(err.Error(), says)):
				t.Errorf("it is %q, %v, want %q", user, err, says)
			case bad && tt.listener != "elsewhere" && !errors.Is(err, ErrCertificate):
				t.Errorf("%v is not %v", err, ErrCertificate)
			case !bad && (err != nil || user != tt.want):
				t.Errorf("it is %q, %v, want %q", user, err, tt.want)
			}
			if user, err := enter(t, "cn", good); err != nil || user != "canary" {
				t.Errorf("the canary is %q, %v", user, err)
			}
		})
	}
	who := calling("")
	who.Listener = "cn"
	if as, err := a.Authenticate(Credentials{Identity: who}); err != nil || as.User != "" {
		t.Errorf("without a certificate, where one needs none: %q, %v", as.User, err)
	}
	who.User = "ann"
	if _, err := a.Authenticate(Credentials{Identity: who, Password: []byte("x")}); !errors.Is(err, ErrBad) {
		t.Errorf("a name that is only said, where certificates say names: %v", err)
	}
}
