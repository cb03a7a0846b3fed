package config

import (
	"crypto/x509"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"sluice/tlsutil"
	"sluice/tlsutil/certgen"
)

// TestGood holds what is made of a configuration: testdata/good/NAME.hcl, or
// the directory NAME, gives exactly the model in NAME.golden, and not even a
// warning.
func TestGood(t *testing.T) {
	t.Parallel()
	root := filepath.Join(workspace(t, "testdata/good"), "good")
	for _, name := range cases(t, "testdata/good") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(root, name)
			c, diags := loadTwice(t, path, optionsOf(t, root, path))
			if diags.Len() > 0 {
				t.Errorf("diagnostics:\n%s", textOf(t, diags))
			}
			if c == nil {
				t.Fatal("no configuration")
			}
			got := strings.ReplaceAll(dump(c), root+"/", "")
			golden(t, filepath.Join("testdata/good", strings.TrimSuffix(name, ".hcl")+".golden"), got)
		})
	}
}

// dump writes a model as text: one line for each field that is not zero.
func dump(c *Config) string {
	var out strings.Builder
	dumpValue(&out, "", reflect.ValueOf(c).Elem())
	return out.String()
}

func dumpValue(out *strings.Builder, path string, v reflect.Value) {
	if v.IsZero() {
		return
	}
	switch x := v.Interface().(type) {
	case Pos, Address, Refusal, TransportProtocol, netip.Addr, netip.Prefix, time.Duration:
		fmt.Fprintf(out, "%s = %v\n", path, x)
		return
	case netip.AddrPort:
		fmt.Fprintf(out, "%s = %v\n", path, x)
		return
	case *tlsutil.Certificate:
		fmt.Fprintf(out, "%s = %s %s for %v\n", path, x.CertFile, x.KeyFile, x.Leaf.DNSNames)
		return
	case *x509.Certificate:
		fmt.Fprintf(out, "%s = %s\n", path, x.Subject)
		return
	case *x509.CertPool:
		fmt.Fprintf(out, "%s = a pool\n", path)
		return
	case *tlsutil.RevocationList:
		fmt.Fprintf(out, "%s = a list of %s\n", path, x.Issuer)
		return
	case Token:
		fmt.Fprintf(out, "%s = %x\n", path, x[:])
		return
	case [32]byte:
		fmt.Fprintf(out, "%s = %x\n", path, x)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		dumpValue(out, path, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			dumpValue(out, strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			dumpValue(out, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	default:
		fmt.Fprintf(out, "%s = %v\n", path, v.Interface())
	}
}

// TestEverything makes sure that testdata/good/everything.hcl has every
// block and attribute of the format, so that its model shows all of them.
func TestEverything(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/good/everything.hcl")
	if err != nil {
		t.Fatal(err)
	}
	file, diags := hclsyntax.ParseConfig(src, "everything.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	written := map[*schema]map[string]bool{}
	var walk func(*hclsyntax.Body, *schema)
	walk = func(body *hclsyntax.Body, s *schema) {
		if written[s] == nil {
			written[s] = map[string]bool{}
		}
		for name := range body.Attributes {
			written[s][name] = true
		}
		for _, block := range body.Blocks {
			written[s][block.Type] = true
			walk(block.Body, s.blocks[block.Type])
		}
	}
	walk(file.Body.(*hclsyntax.Body), topLevel)
	for s, names := range written {
		for _, name := range s.known() {
			switch name {
			case "variable", "locals": // in testdata/good/values.hcl
				continue
			case "mode", "group": // of a unix socket, in testdata/good/admin_socket.hcl
				continue
			case "cluster": // the other form of weighted_cluster
				if names["weighted_cluster"] {
					continue
				}
			case "tls", "on_upstream_failure", "on_change": // of a default_filter_chain
				if s == topLevel.blocks["listener"].blocks["default_filter_chain"] {
					continue
				}
			}
			if !names[name] {
				t.Errorf("everything.hcl has no %s beside %v", name, slices.Sorted(maps.Keys(names)))
			}
		}
	}
}

// TestExamples loads what users read first.
func TestExamples(t *testing.T) {
	t.Parallel()
	root := filepath.Join(workspace(t, "examples"), "examples")
	ca := certgen.NewAuthority("clients")
	pki := filepath.Join(root, "pki")
	for base, names := range map[string][]string{
		"www": {"www.example.com", "example.com"}, "billing-ecdsa": {"billing.example.com"}, "billing-rsa": {"billing.example.com"},
		"shop": {"shop.example.com", "*.shop.example.com"}, "gateway": nil,
	} {
		if _, _, err := ca.WriteFiles(pki, base, certgen.Options{Names: names, Client: names == nil}); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string][]byte{
		"clients-ca.pem": ca.CAPEM(), "internal-ca.pem": ca.CAPEM(), "clients.crl": ca.CRL(),
		"ticket-new.key": []byte(strings.Repeat("a1", 32)), "ticket-old.key": []byte(strings.Repeat("b2", 32)),
	} {
		if err := os.WriteFile(filepath.Join(pki, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range cases(t, "examples") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, diags := loadTwice(t, filepath.Join(root, name), Options{Environ: []string{}})
			if c == nil || diags.Len() > 0 {
				t.Errorf("config %v, diagnostics:\n%s", c != nil, textOf(t, diags))
			}
		})
	}
}

// TestExamplesAreFormatted holds that users copy canonical HCL.
func TestExamplesAreFormatted(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"examples/*.hcl", "examples/*/*.hcl"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(err, files)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, diags := Format(file, src)
			if diags.Len() > 0 || string(got) != string(src) {
				t.Errorf("%s is not in canonical form: (-is +should)\n%s", file, cmp.Diff(string(src), string(got)))
			}
		}
	}
}
