package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const (
	// recordWait is how long a record may take after its connection ended.
	// The gateway gathers records for 50 ms.
	recordWait = 5 * time.Second
	// recordQueue is more than the demo has connections at any time. When the
	// user floods it, records that nobody reads yet are dropped.
	recordQueue = 1024
)

// accessRecord is what the demo reads of an access record.
type accessRecord struct {
	Source      string  `json:"source"`
	SNI         string  `json:"sni"`
	FilterChain string  `json:"filter_chain"`
	TLS         string  `json:"tls"`
	Cluster     string  `json:"cluster"`
	Endpoint    string  `json:"endpoint"`
	ConnectMS   float64 `json:"connect_ms"`
	DurationMS  float64 `json:"duration_ms"`
	Flags       string  `json:"flags"`
}

// records takes the gateway's access records. One goroutine writes, the
// gateway's, and one reads.
type records struct {
	arrived chan accessRecord
	early   map[string][]accessRecord // came before they were asked for, by source
}

func newRecords() *records {
	return &records{arrived: make(chan accessRecord, recordQueue), early: map[string][]accessRecord{}}
}

// Write takes whole lines, as the gateway writes them.
func (r *records) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		var rec accessRecord
		if err := json.Unmarshal(line, &rec); err != nil {
			panic(fmt.Sprintf("BUG: an access record is not JSON: %v: %q", err, line))
		}
		select {
		case r.arrived <- rec:
		default:
		}
	}
	return len(p), nil
}

// await gives the record of the connection that came from source. A port that
// was used twice gives its records in their order.
func (r *records) await(ctx context.Context, source string) (accessRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	for {
		if list := r.early[source]; len(list) > 0 {
			r.early[source] = list[1:]
			return list[0], nil
		}
		select {
		case rec := <-r.arrived:
			r.early[rec.Source] = append(r.early[rec.Source], rec)
		case <-ctx.Done():
			return accessRecord{}, fmt.Errorf("waiting for the access record of the connection from %s: %w", source, ctx.Err())
		}
	}
}
