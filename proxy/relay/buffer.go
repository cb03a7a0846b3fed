package relay

// bufferSizes are the sizes in which buffers come. The first holds an
// interactive stall, the second one TLS record with its overhead or what is
// left of a read by a direction known to be slow, the third what is left of a
// copy, the fourth a whole scratch buffer as TLS records.
var bufferSizes = [...]int{4 << 10, 17 << 10, 68 << 10, 272 << 10}

// keepBuffers is how many free buffers of each size a worker keeps: together
// at most 2.4 MB.
var keepBuffers = [...]int{16, 16, 16, 4}

// buffer holds bytes that wait for a side that does not take them. It belongs
// to a direction only while it holds some.
type buffer struct {
	data  []byte // of one of bufferSizes
	start int    // data[start:end] waits
	end   int
	class uint8
}

func (b *buffer) len() int      { return b.end - b.start }
func (b *buffer) bytes() []byte { return b.data[b.start:b.end] }
func (b *buffer) room() int     { return len(b.data) - b.end }
func (b *buffer) add(p []byte)  { b.end += copy(b.data[b.end:], p) }

// buffers is a worker's cache of free buffers.
type buffers struct {
	free [len(bufferSizes)][]*buffer
}

// get gives an empty buffer with room for n bytes.
func (bs *buffers) get(n int) *buffer {
	for class, size := range bufferSizes {
		if n > size {
			continue
		}
		free := bs.free[class]
		if len(free) == 0 {
			return &buffer{data: make([]byte, size), class: uint8(class)}
		}
		b := free[len(free)-1]
		bs.free[class] = free[:len(free)-1]
		return b
	}
	return &buffer{data: make([]byte, n), class: uint8(len(bufferSizes))}
}

// put takes a buffer back.
func (bs *buffers) put(b *buffer) {
	b.start, b.end = 0, 0
	if int(b.class) < len(bufferSizes) && len(bs.free[b.class]) < keepBuffers[b.class] {
		bs.free[b.class] = append(bs.free[b.class], b)
	}
}
