package proxy

import (
	"iter"

	"sluice/config"
)

// retired gives the chains of a listener that next, which takes its place, has
// no more or has otherwise, and what becomes of their connections. next is nil
// when the listener is gone. A chain that is the same but for its certificates,
// or but for what its clusters are, is not retired.
func (ln *listener) retired(next *listener) iter.Seq2[*chain, config.ConnectionFate] {
	return func(yield func(*chain, config.ConnectionFate) bool) {
		var now map[string]*chain
		if next != nil {
			now = next.byName()
		}
		for old := range ln.all() {
			c := now[chainKey(old.spec, ln.spec)]
			var fate config.ConnectionFate
			switch {
			case c != nil && c.digest == old.digest:
				continue
			case c != nil:
				fate = c.spec.OnChange
			case next != nil:
				fate = next.spec.OnChange
				if old.spec.OnChange != ln.spec.OnChange { // it had an opinion of its own
					fate = old.spec.OnChange
				}
			default:
				fate = old.spec.OnChange
			}
			if !yield(old, fate) {
				return
			}
		}
	}
}

// loseChain does with the connection what on_change says.
func (c *conn) loseChain() {
	if fate := c.chain.life.fate.Load(); fate != nil {
		c.lose(*fate, reasonConfigChanged)
	}
}
