package auth

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A NameIn says where in a client's certificate its user name is.
type NameIn uint8

const (
	NoName       NameIn = iota // nowhere: a certificate names nobody
	InCommonName               // the subject's common name
	InURI                      // the subject alternative name that is a URI
	InDNSName                  // the one that is a DNS name
)

// ErrCertificate: the certificate that the client has shown names nobody, or more
// than one.
var ErrCertificate = errors.New("the certificate has no name to go by")

// certificates are the provider of those who come with a certificate that an
// authority of ours vouches for. What else such a client calls itself, and its
// password, mean nothing.
type certificates struct{ names map[string]NameIn } // by listener

// Check says whom the certificate names.
func (p certificates) Check(c Credentials) (Grant, error) {
	in := p.names[c.Listener]
	if in == NoName || c.Certificate == nil {
		return Grant{}, ErrUnknown
	}
	name, err := in.name(c.Certificate)
	if err != nil {
		return Grant{}, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	c.User = name
	return Grant{c.Identity, Proof{by: byCertificate}}, nil
}

const byCertificate = "certificate"

// Stands is so while certificates say names there.
func (p certificates) Stands(g *Grant) bool {
	return g.by == byCertificate && p.names[g.Listener] != NoName
}

// What names are written as in ASN.1.
var (
	oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSubjectAlt = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// Tags of RFC 5280 §4.2.1.6.
const (
	tagDNSName = 2
	tagURI     = 6
)

// maxName is the longest user name of a certificate, in octets.
const maxName = 256

// Of returns the name that is in c; empty, if there is none or more than one.
func (in NameIn) Of(c *x509.Certificate) string {
	name, err := in.name(c)
	if err != nil {
		return ""
	}
	return name
}

// name returns the one name that is in c, octet for octet: authorities and those
// who read their certificates have disagreed about whatever can be read in two
// ways, and so that is refused.
func (in NameIn) name(c *x509.Certificate) (string, error) {
	var found [][]byte
	var err error
	var what string
	switch in {
	case InCommonName:
		what = "common name"
		found, err = commonNames(c.RawSubject)
	case InURI:
		what = "URI"
		found, err = alternativeNames(c, tagURI)
	default:
		what = "DNS name"
		found, err = alternativeNames(c, tagDNSName)
	}
	switch {
	case err != nil:
		return "", err
	case len(found) != 1:
		return "", fmt.Errorf("it has %d of %s, not one", len(found), what)
	}
	name := string(found[0])
	switch {
	case name == "" || len(name) > maxName:
		return "", fmt.Errorf("its %s has %d octets, not 1 to %d", what, len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "", fmt.Errorf("its %s has characters in it that cannot be printed", what)
	case strings.TrimSpace(name) != name:
		return "", fmt.Errorf("its %s begins or ends with a blank", what)
	case in != InCommonName && strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }):
		return "", fmt.Errorf("its %s is not ASCII", what)
	case in == InDNSName && strings.Contains(name, "*"):
		return "", fmt.Errorf("its %s is that of many", what)
	case in == InDNSName:
		return strings.ToLower(name), nil // RFC 4343
	}
	return name, nil
}

// A relativeNameSET is what has one place in a subject; asn1 goes by its name.
type relativeNameSET []struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

// commonNames are those of a subject. Of what stands in one place together with
// others it is not known which counts.
func commonNames(subject []byte) (found [][]byte, err error) {
	var places []relativeNameSET
	if rest, err := asn1.Unmarshal(subject, &places); err != nil || len(rest) > 0 {
		return nil, errors.New("its subject cannot be read")
	}
	for _, place := range places {
		for _, a := range place {
			switch {
			case !a.Type.Equal(oidCommonName):
			case len(place) > 1:
				return nil, errors.New("its common name shares its place with another attribute")
			case a.Value.Class != asn1.ClassUniversal || a.Value.Tag != asn1.TagUTF8String && a.Value.Tag != asn1.TagPrintableString:
				return nil, errors.New("its common name is neither a UTF8String nor a PrintableString")
			default:
				found = append(found, a.Value.Bytes)
			}
		}
	}
	return found, nil
}

// alternativeNames are those with that tag.
func alternativeNames(c *x509.Certificate, tag int) (found [][]byte, err error) {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidSubjectAlt) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(e.Value, &names); err != nil || len(rest) > 0 {
			return nil, errors.New("its alternative names cannot be read")
		}
		for _, n := range names {
			if n.Class == asn1.ClassContextSpecific && n.Tag == tag {
				found = append(found, n.Bytes)
			}
		}
	}
	return found, nil
}
