package upstream

import (
	"math"
	"slices"
)

// maglev is a lookup table that gives the same key the same member, whoever
// makes it and whenever, and changes little when the members do (Eisenbud et
// al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
// 3.4). It is made of the members of a priority group, serving or not: a member
// that cannot be used loses its own keys for that time, and nobody else any.
type maglev struct {
	members []maglevMember
	table   []uint32 // members
}

type maglevMember struct {
	address Address
	hash    uint64 // of the address
	weight  int64
}

// The table has a prime number of entries, a hundred for every member (the
// paper's 1%): 256 KiB up to 655 members.
const (
	maglevSmall = 65_537
	maglevLarge = 655_373
)

// noMember marks an entry that is free while the table is made.
const noMember = math.MaxUint32

// newMaglev fills the table: the members take turns, and each takes the next
// free entry of a permutation of its own. A lighter member sits out turns, so
// that it has weight/heaviest of the turns of the heaviest.
func newMaglev(members []maglevMember) *maglev {
	size := uint64(maglevSmall)
	if 100*len(members) > maglevSmall {
		size = maglevLarge
	}
	m := &maglev{members, slices.Repeat([]uint32{noMember}, int(size))}
	type turn struct {
		entry, skip uint64
		taken       int64 // turns
	}
	turns, heaviest := make([]turn, len(members)), int64(0)
	for i, member := range members {
		turns[i] = turn{entry: member.hash % size, skip: mix(member.hash)%(size-1) + 1}
		heaviest = max(heaviest, member.weight)
	}
	for round, filled := int64(1), uint64(0); ; round++ {
		for i := range turns {
			t := &turns[i]
			if (t.taken+1)*heaviest > round*members[i].weight {
				continue
			}
			t.taken++
			for m.table[t.entry] != noMember {
				t.entry = (t.entry + t.skip) % size
			}
			m.table[t.entry] = uint32(i)
			if filled++; filled == size {
				return m
			}
		}
	}
}

// prepareMaglevLocked gives each group its table. Tables are kept for as long as
// the members of their priority and their weights stay.
func (c *Cluster) prepareMaglevLocked(v *view, priorities []set) {
	kept := c.maglevs
	c.maglevs = nil
	for _, members := range priorities {
		list := make([]maglevMember, len(members))
		for i, m := range members {
			list[i] = maglevMember{m.Address, hashBytes(m.Address.String()), m.weight(m.loadStatus())}
		}
		i := slices.IndexFunc(kept, func(m *maglev) bool { return slices.Equal(m.members, list) })
		table := (*maglev)(nil)
		if i >= 0 {
			table = kept[i]
		} else {
			table = newMaglev(list)
		}
		c.maglevs = append(c.maglevs, table)
		for g := range v.groups {
			v.groups[g].join(table, members)
		}
	}
}

// join takes the table if it is that of the group's members.
func (g *group) join(table *maglev, members set) {
	candidates := make(map[*Endpoint]int32, len(g.candidates))
	for i := range g.candidates {
		candidates[g.candidates[i].endpoint] = int32(i)
	}
	serving := make([]int32, len(members))
	found := 0
	for i, m := range members {
		serving[i] = -1
		if n, ok := candidates[m.Endpoint]; ok {
			serving[i] = n
			found++
		}
	}
	if found > 0 {
		g.maglev, g.serving = table, serving
	}
}

// probes is how many entries are looked up for a key whose members cannot be
// used, before each member is weighed: one in 256 keys when half of them cannot.
const probes = 8

// ofKey takes the candidate that the table has for the key. When that one cannot
// be used, it goes on to other entries that belong to the key, always the same
// ones. Without a key it goes by chance.
func (g *group) ofKey(r *Request) *Endpoint {
	key := uint64(r.Key)
	if r.Key == NoKey {
		key = r.Rand.next()
	}
	h := mix(key)
	for range probes {
		if i := g.serving[g.maglev.table[h%uint64(len(g.maglev.table))]]; i >= 0 {
			if cand := &g.candidates[i]; !r.tried(cand.endpoint) && cand.take() {
				return cand.endpoint
			}
		}
		h = mix(h + 1)
	}
	for {
		cand := g.heaviestFor(key, r)
		if cand == nil {
			return nil
		}
		if cand.take() {
			return cand.endpoint
		}
	}
}

// heaviestFor is weighted rendezvous hashing among the candidates that were not
// tried and are not full.
func (g *group) heaviestFor(key uint64, r *Request) (best *candidate) {
	most := math.Inf(-1)
	for i, n := range g.serving {
		if n < 0 {
			continue
		}
		cand := &g.candidates[n]
		if cand.full() || r.tried(cand.endpoint) {
			continue
		}
		if s := rendezvous(g.maglev.members[i].hash, key, float64(cand.weight)); s > most {
			best, most = cand, s
		}
	}
	return best
}

// rendezvous is a member's score for a key: the member with the highest score
// has a chance of its weight among all, and loses no keys when others come to
// have less weight (Schindelhauer and Schomaker, "Weighted Distributed Hash
// Tables", SPAA 2005, 3.1).
func rendezvous(member, key uint64, weight float64) float64 {
	u := (float64(mix(member^mix(key))>>11) + 0.5) / (1 << 53) // within 0 and 1, neither of them
	return -weight / math.Log(u)
}
