package proxy

import (
	"sluice/config"
	"sluice/proxy/status"
)

// retire gives the chains that a comparison with the next configuration has
// found to be changed or removed their fate, and tells whether that is anything
// for any of them.
func (s *snapshot) retire(d *status.Diff) (any bool) {
	type key struct {
		listener, name string
		isDefault      bool
	}
	fates := make(map[key]config.ConnectionFate)
	for i := range d.Changes {
		if c := &d.Changes[i]; c.Kind == "filter_chain" && c.Fate != "" && c.Fate != string(config.FateKeep) {
			fates[key{c.Listener, c.Name, c.Default}] = config.ConnectionFate(c.Fate)
		}
	}
	if len(fates) == 0 {
		return false
	}
	for _, ln := range s.listeners {
		for ch := range ln.all() {
			if fate, ok := fates[key{ln.name, ch.name, ch == ln.fallback}]; ok {
				ch.life.fate.Store(&fate)
			}
		}
	}
	return true
}

// loseChain does with the connection what on_change says.
func (c *conn) loseChain() {
	if fate := c.chain.life.fate.Load(); fate != nil {
		c.lose(*fate, reasonConfigChanged)
	}
}
