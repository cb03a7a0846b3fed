package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sluice/config"
)

// defaultAdmin is where a gateway answers whose configuration says nothing else.
const defaultAdmin = "127.0.0.1:9901"

// tokenVariable has the token where there is no file of it.
const tokenVariable = "SLUICE_ADMIN_TOKEN"

// adminFlags are the flags that say which running gateway is meant, and how to
// get in.
type adminFlags struct {
	address   string
	tokenFile string
	caFile    string
	config    configFlags
}

// add defines the flags; inherited ones hold for all commands below cmd.
func (f *adminFlags) add(cmd *cobra.Command, inherited bool) {
	flags := cmd.Flags()
	if inherited {
		flags = cmd.PersistentFlags()
	}
	f.config.vars = assignments{}
	f.addAddress(flags, "the gateway's admin address: host:port, https://host:port\nor unix:/path (default: that of the configuration\ngiven by -c, else "+defaultAdmin+")")
	flags.VarP((*file)(&f.config.path), "config", "c", "the configuration that has the admin address")
	flags.Var(f.config.vars, "var", "set a variable of it; can be repeated")
	flags.Var((*files)(&f.config.varFiles), "var-file", "set its variables from a file of NAME = VALUE lines;\ncan be repeated, and a later one wins")
}

// addAddress defines the flags that are not about a configuration.
func (f *adminFlags) addAddress(flags *pflag.FlagSet, usage string) {
	flags.Var((*adminAddress)(&f.address), "admin", usage)
	flags.Var((*file)(&f.tokenFile), "token-file", "the file with the admin token\n(default: the token in "+tokenVariable+")")
	flags.Var((*file)(&f.caFile), "ca-file", "the authority of the admin address's certificate, PEM\n(default: the system's)")
}

// adminAddress is a flag with an admin address.
type adminAddress string

func (a *adminAddress) Set(s string) error {
	if _, _, err := splitAdmin(s); err != nil {
		return err
	}
	*a = adminAddress(s)
	return nil
}

func (a *adminAddress) String() string { return string(*a) }
func (a *adminAddress) Type() string   { return "ADDRESS" }

// splitAdmin gives the scheme, http, https or unix ("": none is written), and
// what stands after it.
func splitAdmin(s string) (scheme, address string, err error) {
	const want = "write host:port, https://host:port or unix:/path"
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path = strings.TrimPrefix(path, "//"); path == "" {
			return "", "", errors.New(want)
		}
		return "unix", path, nil
	}
	address = s
	if i := strings.Index(s, "://"); i >= 0 {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			return "", "", errors.New(want)
		}
		scheme, address = u.Scheme, u.Host
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return "", "", errors.New(want)
	}
	if host == "" {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return scheme, address, nil
}

// client makes the client of the gateway that is meant.
func (f *adminFlags) client() (*adminClient, error) {
	address, name := f.address, ""
	if address == "" {
		var err error
		if address, name, err = f.fromConfig(); err != nil {
			return nil, err
		}
	}
	token, err := f.token()
	if err != nil {
		return nil, err
	}
	c, err := newAdminClient(address, token, f.caFile)
	if err == nil && name != "" {
		c.name = name
	}
	return c, err
}

// fromConfig gives the admin address of the configuration that is named, or the
// default. The name is what to call it when it is not to be shown.
func (f *adminFlags) fromConfig() (address, name string, err error) {
	if f.config.path == "" {
		return defaultAdmin, "", nil
	}
	path, cfg, _, err := f.config.load()
	switch {
	case err != nil:
		return "", "", err
	case cfg == nil:
		return "", "", fmt.Errorf("%s is not valid (\"sluice validate\" says why), so it does not say where the gateway is: name its admin address with --admin", path)
	case !cfg.Admin.Enabled:
		return "", "", fmt.Errorf("the gateway of %s cannot be asked: its admin block says enabled = false", path)
	case cfg.Admin.AddressHidden:
		name = "the admin address of " + path
	}
	address, err = reachable(cfg.Admin)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", path, err)
	}
	return address, name, nil
}

// reachable gives the address at which a program of this machine reaches an admin
// server, as --admin has it.
func reachable(a config.Admin) (string, error) {
	if a.Address.Network == config.Unix {
		return "unix:" + a.Address.Path, nil
	}
	at := a.Address.AddrPort
	if at.Port() == 0 {
		return "", errors.New("the admin address has port 0, for which the kernel chooses one: the gateway's log says which; give it with --admin")
	}
	if at.Addr().IsUnspecified() { // then it listens on loopback, too
		local := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if at.Addr().Is6() && !a.Address.Dual {
			local = netip.IPv6Loopback()
		}
		at = netip.AddrPortFrom(local, at.Port())
	}
	if len(a.Certificates) > 0 {
		return "https://" + at.String(), nil
	}
	return at.String(), nil
}

// token gives the token, or "".
func (f *adminFlags) token() (string, error) {
	if f.tokenFile == "" {
		return strings.TrimSpace(os.Getenv(tokenVariable)), nil
	}
	text, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return "", fmt.Errorf("reading the admin token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", fmt.Errorf("the admin token in %s is empty", f.tokenFile)
	}
	return token, nil
}
