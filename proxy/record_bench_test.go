package proxy

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sluice/config"
)

// BenchmarkRecord is the access record of a passed-through connection, without
// the writing to its sink.
func BenchmarkRecord(b *testing.B) {
	g := idleGateway(b, benchConfig, 1, 1)
	a, err := openAccessLog(config.AccessLog{Enabled: true, Path: "stdout", End: true}, io.Discard, io.Discard, zerolog.Nop())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(a.Close)
	w := g.workers[0]
	w.writeRecordsTo(a)
	var c *conn
	w.each(func(one *conn) { c = one })
	alpn, ja4 := "h2,http/1.1", "t13d1516h2_8daaf6152771_02713d6af862"
	c.record.alpn, c.record.ja4 = &alpn, &ja4
	c.record.peek, c.record.connect, c.record.firstByte = 31, 87, 214
	c.record.upstreamLocal = compact(netip.MustParseAddrPort("127.0.0.1:45678"))
	ending := Termination{Reason: reasonFinished, at: time.Second}
	b.ReportAllocs()
	for b.Loop() {
		c.log(recordEnd, ending)
		w.records.buf = w.records.buf[:0]
	}
}
