package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peer is a proxy that takes part.
type peer struct {
	name      string
	version   string
	configure func(setup) []configFile
	command   func(dir string) []string
	asked     question
}

// isOurs says whether a peer's ratio decides how many rounds there are.
func isOurs(name string) bool { return strings.HasPrefix(name, nameSluice) }

// takesPart says whether a peer is put to a row. What some feature of the
// gateway costs is told by the gateway without it. A client's FIN is passed on by
// the gateway and by HAProxy; nginx closes both sides at once unless told
// otherwise, and what that saves shows where connections are short.
func (r *row) takesPart(name string) bool {
	switch {
	case r.method == byAsking:
		return name == nameScrape
	case r.overhead:
		return isOurs(name)
	}
	switch name {
	case namePerSource, nameScrape, namePage:
		return false
	case nameNginxHalfClose:
		return r.work == workShort && r.mode != terminated
	}
	return true
}

// isReference says whether targets may compare with a peer, and ratios do.
func (r *row) isReference(name string) bool {
	if r.overhead {
		return name == nameSluice
	}
	return name == nameHAProxy || name == nameNginx
}

// pipesOfCopy are the descriptors that io.Copy holds for a connection that has
// moved bytes, beside its sockets: a pipe each way, as it splices.
const pipesOfCopy = 4

// lacks says why a peer cannot do a row that the others can, or "".
func (p *peer) lacks(r *row, descriptors int) string {
	each := 2 + pipesOfCopy
	if p.name != nameBaseline || r.mode == terminated || each*r.connections+reservedDescriptors <= descriptors {
		return ""
	}
	return fmt.Sprintf("io.Copy holds a pipe each way: %d connections do not fit into %d descriptors", r.connections, descriptors)
}

// findPeers returns who takes part, and why the others do not: a comparison
// that silently lacks a peer misleads. Only the gateway itself must be there.
func findPeers(o *options, dir string) (peers []*peer, missing []string, err error) {
	gateway, err := findSluice(o, dir)
	if err != nil {
		return nil, nil, err
	}
	peers = append(peers, gateway...)
	for _, other := range []struct {
		name, path string
		make       func(path string) ([]*peer, error)
	}{{nameHAProxy, o.haproxy, newHAProxy}, {nameNginx, o.nginx, newNginx}} {
		path, why := locate(other.path)
		if why == "" {
			made, err := other.make(path)
			if err == nil {
				peers = append(peers, made...)
				continue
			}
			why = err.Error()
		}
		missing = append(missing, other.name+": "+why)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	peers = append(peers, &peer{
		name: nameBaseline, version: "io.Copy in two goroutines, of this program", configure: copyProxyConfig,
		command: func(dir string) []string { return []string{self, "copyproxy", filepath.Join(dir, "copyproxy.json")} },
	})
	return peers, missing, nil
}

// locate finds a program, in the directories of administrators, too: users do
// not have these in their PATH.
func locate(path string) (found, why string) {
	if path == "" {
		return "", "not wanted (its path is empty)"
	}
	if found, err := exec.LookPath(path); err == nil {
		return found, ""
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if found, err := exec.LookPath(filepath.Join(dir, path)); err == nil {
			return found, ""
		}
	}
	return "", fmt.Sprintf("no program %q; install it or name another with -haproxy or -nginx", path)
}

// findSluice builds the gateway of this checkout, unless another is given.
func findSluice(o *options, dir string) ([]*peer, error) {
	binary := o.sluice
	if binary == "" {
		binary = filepath.Join(dir, "sluice")
		out, err := exec.Command("go", "build", "-trimpath", "-o", binary, "sluice/cmd/sluice").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("building the gateway: %w\n%s", err, out)
		}
	}
	version, err := firstLine(binary, "version")
	if err != nil {
		return nil, err
	}
	noAdmin, err := withoutAdmin(binary, dir)
	if err != nil {
		return nil, err
	}
	command := func(dir string) []string { return []string{binary, "run", "-c", filepath.Join(dir, "sluice.hcl")} }
	var peers []*peer
	for _, f := range []struct {
		name string
		features
	}{
		{nameSluice, features{}},
		{nameRecord, features{record: true}},
		{namePerSource, features{perSource: true}},
		{nameScrape, features{asked: scraping}},
		{namePage, features{asked: watching}},
	} {
		if f.asked != nothing && noAdmin == "" {
			continue // there is nobody to be asked
		}
		peers = append(peers, &peer{f.name, version, func(s setup) []configFile { return sluiceConfig(s, f.features, noAdmin) }, command, f.asked})
	}
	return peers, nil
}

// withoutAdmin is what turns the admin server off, for all gateways that run at
// once would have it on the same address: nothing, for one that has none yet.
func withoutAdmin(binary, dir string) (string, error) {
	const off = "admin { enabled = false }\n"
	const smallest = "listener \"l\" {\n  address = \":0\"\n  filter_chain \"c\" {\n    route { cluster = \"c\" }\n  }\n}\ncluster \"c\" { endpoints = [\"127.0.0.1:1\"] }\n"
	file := filepath.Join(dir, "admin.hcl")
	if err := os.WriteFile(file, []byte(off+smallest), 0o600); err != nil {
		return "", err
	}
	if err := exec.Command(binary, "validate", "-c", file).Run(); err != nil {
		return "", nil
	}
	return off, nil
}

func newHAProxy(path string) ([]*peer, error) {
	version, err := firstLine(path, "-v")
	if err != nil {
		return nil, err
	}
	return []*peer{{name: nameHAProxy, version: version, configure: haproxyConfig, command: func(dir string) []string {
		return []string{path, "-db", "-q", "-f", filepath.Join(dir, "haproxy.cfg")}
	}}}, nil
}

// nginxModule is where Debian keeps the stream module.
const nginxModule = "/usr/lib/nginx/modules/ngx_stream_module.so"

func newNginx(path string) ([]*peer, error) {
	out, err := exec.Command(path, "-V").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s -V: %w", path, err)
	}
	module := ""
	switch about := string(out); {
	case strings.Contains(about, "--with-stream=dynamic"):
		module = nginxModule
		if _, err := os.Stat(module); err != nil {
			return nil, fmt.Errorf("its stream module is missing (package libnginx-mod-stream): %w", err)
		}
	case !strings.Contains(about, "--with-stream"):
		return nil, fmt.Errorf("%s is built without the stream module", path)
	}
	version, _, _ := strings.Cut(string(out), "\n")
	command := func(dir string) []string {
		return []string{path, "-e", "stderr", "-p", dir, "-c", filepath.Join(dir, "nginx.conf")}
	}
	configured := func(name string, halfClose bool) *peer {
		return &peer{name: name, version: version, command: command, configure: func(s setup) []configFile {
			return nginxConfig(s, module, halfClose)
		}}
	}
	return []*peer{configured(nameNginx, false), configured(nameNginxHalfClose, true)}, nil
}

func firstLine(path string, arg string) (string, error) {
	out, err := exec.Command(path, arg).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", path, arg, err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line, nil
}
