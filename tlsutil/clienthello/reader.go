package clienthello

// reader takes numbers (big-endian) and length-prefixed vectors off the front
// of a message, in the presentation language of RFC 8446 §3. A read that does
// not fit gives ok false and the message is to be refused.
type reader []byte

func (r *reader) bytes(n int) (b []byte, ok bool) {
	if len(*r) < n {
		return nil, false
	}
	b, *r = (*r)[:n:n], (*r)[n:]
	return b, true
}

func (r *reader) uint8() (n int, ok bool) {
	b, ok := r.bytes(1)
	if !ok {
		return 0, false
	}
	return int(b[0]), true
}

func (r *reader) uint16() (n int, ok bool) {
	b, ok := r.bytes(2)
	if !ok {
		return 0, false
	}
	return int(b[0])<<8 | int(b[1]), true
}

// vector8 reads a vector whose length is in one byte before it.
func (r *reader) vector8() (v reader, ok bool) {
	n, ok := r.uint8()
	if !ok {
		return nil, false
	}
	return r.bytes(n)
}

// vector16 reads a vector whose length is in two bytes before it.
func (r *reader) vector16() (v reader, ok bool) {
	n, ok := r.uint16()
	if !ok {
		return nil, false
	}
	return r.bytes(n)
}
