package main

import (
	"fmt"
	"iter"
	"strings"
	"unicode/utf8"

	"sluice/config"
)

// The columns of the map, from the left: the box of the listener, those of
// filter chains, and those of clusters. All 78 columns are used.
const (
	listenerWidth = 19
	trunkColumn   = 20 // the line from the listener down to the chains
	chainColumn   = 22
	chainWidth    = 23
	branchColumn  = chainColumn + chainWidth
	clusterColumn = 50
	clusterWidth  = 28
	mapWidth      = clusterColumn + clusterWidth
)

// listMap says what drawMap draws, for a terminal that is too narrow for it.
func listMap(cfg *config.Config, address, admin string) string {
	var out strings.Builder
	ln := cfg.Listeners[0]
	fmt.Fprintf(&out, "listener %s, %s\n", ln.Name, address)
	for _, chain := range ln.Chains {
		fmt.Fprintf(&out, "  %s: chain %s\n    %s\n", strings.Join(chain.Match.ServerNames, ", "), chain.Name, treatment(chain))
		for _, w := range chain.Route.Clusters {
			cluster := cfg.Cluster(w.Name)
			share := ""
			if len(chain.Route.Clusters) > 1 {
				share = fmt.Sprintf("%d%% ", percent(w, chain.Route))
			}
			fmt.Fprintf(&out, "    %sto cluster %s\n", share, cluster.Name)
			for _, e := range cluster.Endpoints {
				fmt.Fprintf(&out, "      %-8s %s\n", e.Name, e.Address)
			}
		}
	}
	fmt.Fprintf(&out, "  any other name: %s\nadmin, %s\n", ln.OnNoMatch, admin)
	return out.String()
}

// treatment is what a chain does with TLS.
func treatment(chain *config.FilterChain) string {
	if chain.TLS != nil {
		return "TLS terminated here"
	}
	return "TLS passed through"
}

// percent is the share of one of a route's clusters.
func percent(w config.WeightedCluster, r config.Route) int {
	sum := 0
	for _, other := range r.Clusters {
		sum += other.Weight
	}
	return 100 * w.Weight / sum
}

// drawMap draws who is sent where: listener, filter chains, clusters, endpoints.
// It knows what the demo's configuration uses. Below the listener is the address
// of the admin server.
func drawMap(cfg *config.Config, address, admin string) string {
	var c canvas
	ln := cfg.Listeners[0]
	below := c.box(0, 0, listenerWidth, "listener "+ln.Name, []string{address})
	c.box(0, below+1, listenerWidth, "admin", []string{admin})
	c.put(listenerWidth-1, 1, "├─┬▶")
	top := 0
	for i, chain := range ln.Chains {
		if i > 0 {
			c.put(trunkColumn, top+1, "├▶")
		}
		bottom := c.chain(cfg, chain, top)
		for y := top + 2; y <= bottom; y++ {
			c.put(trunkColumn, y, "│")
		}
		top = bottom
	}
	c.put(trunkColumn, top+1, "└▶ any other name: "+ln.OnNoMatch.String())
	return c.String()
}

// chain draws a chain and its clusters from line y on, and gives the first line
// below them.
func (c *canvas) chain(cfg *config.Config, chain *config.FilterChain, y int) int {
	bottom := c.box(chainColumn, y, chainWidth, "chain "+chain.Name, append(chain.Match.ServerNames[:len(chain.Match.ServerNames):len(chain.Match.ServerNames)], treatment(chain)))
	c.put(branchColumn-1, y+1, "├")
	at, fork := y, y+1
	for i, w := range chain.Route.Clusters {
		share := "───"
		if len(chain.Route.Clusters) > 1 {
			share = fmt.Sprintf("%2d%%", percent(w, chain.Route))
		}
		switch {
		case len(chain.Route.Clusters) == 1:
			c.put(branchColumn, at+1, "─"+share+"▶")
		case i == 0:
			c.put(branchColumn, at+1, "┬"+share+"▶")
		case i < len(chain.Route.Clusters)-1:
			c.put(branchColumn, at+1, "├"+share+"▶")
		default:
			c.put(branchColumn, at+1, "└"+share+"▶")
		}
		for line := fork + 1; line < at+1; line++ {
			c.put(branchColumn, line, "│")
		}
		fork = at + 1
		at = c.cluster(cfg.Cluster(w.Name), at)
	}
	return max(bottom, at)
}

func (c *canvas) cluster(cluster *config.Cluster, y int) int {
	var endpoints []string
	for _, e := range cluster.Endpoints {
		endpoints = append(endpoints, fmt.Sprintf("%-8s %s", e.Name, e.Address))
	}
	return c.box(clusterColumn, y, clusterWidth, "cluster "+cluster.Name, endpoints)
}

// canvas is a drawing of text. Lines and columns count from 0 at the top left.
type canvas [][]rune

// put writes s over what is there.
func (c *canvas) put(x, y int, s string) {
	for len(*c) <= y {
		*c = append(*c, nil)
	}
	line := (*c)[y]
	for len(line) < x+utf8.RuneCountInString(s) {
		line = append(line, ' ')
	}
	copy(line[x:], []rune(s))
	(*c)[y] = line
}

// box draws a box with a title in its upper edge, and gives the first line
// below it.
func (c *canvas) box(x, y, width int, title string, lines []string) int {
	rule := strings.Repeat("─", max(width-4-utf8.RuneCountInString(title), 0))
	c.put(x, y, "┌ "+title+" "+rule+"┐")
	for _, line := range lines {
		y++
		c.put(x, y, fmt.Sprintf("│ %-*s │", width-4, line))
	}
	c.put(x, y+1, "└"+strings.Repeat("─", width-2)+"┘")
	return y + 2
}

// String gives the lines without the blanks at their ends.
func (c *canvas) String() string {
	var out strings.Builder
	for _, line := range *c {
		out.WriteString(strings.TrimRight(string(line), " "))
		out.WriteByte('\n')
	}
	return out.String()
}

// isLine tells the lines of a drawing from its words.
func isLine(r rune) bool { return r >= '─' && r <= '╿' || r == '▶' }

// runs cuts s where is changes its mind.
func runs(s string, is func(rune) bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		for s != "" {
			first, _ := utf8.DecodeRuneInString(s)
			kind := is(first)
			end := strings.IndexFunc(s, func(r rune) bool { return is(r) != kind })
			if end < 0 {
				end = len(s)
			}
			if !yield(s[:end]) {
				return
			}
			s = s[end:]
		}
	}
}
