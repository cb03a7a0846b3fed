package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// network is where the three sides of a row are: addresses without ports, and
// network namespaces, "" for the one that this program runs in.
type network struct {
	client, proxy, backend         string // namespaces
	proxyAddress, backendAddress   string
	clientToProxy, proxyToEndpoint string // what connects them, for the report
}

func loopback() *network {
	return &network{proxyAddress: "127.0.0.1", backendAddress: "127.0.0.1", clientToProxy: "lo", proxyToEndpoint: "lo"}
}

// newVeth makes three namespaces in a line, client - proxy - backend, joined by
// veth pairs of 1500-byte packets (see runPlainCard). self is this program. The
// caller removes the network.
func newVeth(self string) (*network, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces are for root only")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, errors.New("the ip program is not installed (package iproute2)")
	}
	prefix := fmt.Sprintf("sluicebench%d", os.Getpid())
	n := &network{
		client: prefix + "c", proxy: prefix + "p", backend: prefix + "b",
		proxyAddress: "10.99.1.2", backendAddress: "10.99.2.2",
		clientToProxy: "veth, 1500-byte packets", proxyToEndpoint: "veth, 1500-byte packets",
	}
	for _, line := range n.commands() {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			n.remove()
			return nil, fmt.Errorf("ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
	}
	// Ports: a client that opens thousands of connections each second meets its
	// own TIME_WAIT; the loopback device is spared that by the kernel's default.
	for ns, interfaces := range n.interfaces() {
		const ports = "echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range; echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse"
		if out, err := exec.Command("ip", "netns", "exec", ns, "sh", "-e", "-c", ports).CombinedOutput(); err != nil {
			n.remove()
			return nil, fmt.Errorf("setting the port range of %s: %w: %s", ns, err, out)
		}
		cards := append([]string{"netns", "exec", ns, self, "plaincard"}, interfaces...)
		if out, err := exec.Command("ip", cards...).CombinedOutput(); err != nil {
			n.remove()
			return nil, fmt.Errorf("setting up %s: %w: %s", ns, err, out)
		}
	}
	return n, nil
}

func (n *network) namespaces() []string { return []string{n.client, n.proxy, n.backend} }

// interfaces are the ends of the veth pairs in each namespace.
func (n *network) interfaces() map[string][]string {
	return map[string][]string{n.client: {"toproxy"}, n.proxy: {"toclient", "tobackend"}, n.backend: {"toproxy"}}
}

// commands are what the ip program is told, one after the other.
func (n *network) commands() []string {
	var lines []string
	for _, ns := range n.namespaces() {
		lines = append(lines, "netns add "+ns, "-n "+ns+" link set lo up")
	}
	pair := func(a, nameA, addressA, b, nameB, addressB string) {
		lines = append(lines,
			fmt.Sprintf("-n %s link add %s mtu 1500 type veth peer name %s mtu 1500 netns %s", a, nameA, nameB, b))
		for _, end := range [][3]string{{a, nameA, addressA}, {b, nameB, addressB}} {
			lines = append(lines,
				fmt.Sprintf("-n %s addr add %s/24 dev %s", end[0], end[2], end[1]),
				fmt.Sprintf("-n %s link set dev %s up", end[0], end[1]))
		}
	}
	pair(n.client, "toproxy", "10.99.1.1", n.proxy, "toclient", n.proxyAddress)
	pair(n.proxy, "tobackend", "10.99.2.1", n.backend, "toproxy", n.backendAddress)
	return lines
}

// remove deletes the namespaces, and with them the veth pairs. A nil network or
// the loopback device has none.
func (n *network) remove() {
	if n == nil || n.client == "" {
		return
	}
	for _, ns := range n.namespaces() {
		// The ones that were never made are no loss.
		_ = exec.Command("ip", "netns", "del", ns).Run()
	}
}
