package wire

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// COMPRESS=DEFLATE, RFC 4978.

const (
	// maxInflation is how many octets one received octet may become, after a slack for
	// short runs. Deflate allows 1032; mail stays below ten. What is cut off here is
	// asked for again without compression.
	maxInflation   = 200
	inflationSlack = 8 << 20
	deflateProbe   = 15 * time.Second
)

// inflater reads a deflated stream. Lines and literals have their own caps in the
// decoder; this one bounds what a server can make us do for little of its own.
type inflater struct {
	in  counted
	z   io.Reader
	out int64
}

// counted counts what the inflater consumes. It is a ByteReader, so that flate reads
// not one octet more than it needs.
type counted struct {
	r *bufio.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func newInflater(r *bufio.Reader) *inflater {
	f := &inflater{in: counted{r: r}}
	f.z = flate.NewReader(&f.in)
	return f
}

func (f *inflater) Read(p []byte) (int, error) {
	n, err := f.z.Read(p)
	f.out += int64(n)
	if f.out > inflationSlack && f.out-inflationSlack > maxInflation*f.in.n {
		return 0, &CapError{What: "inflated octets per octet", Limit: maxInflation}
	}
	return n, err
}

// storer writes deflate blocks of type "stored" (RFC 1951 §3.2.4): what we send is a
// few commands, not worth a compressor's memory. An empty block behind them is what a
// sync flush ends with: some inflaters hand nothing on before it.
type storer struct {
	w   io.Writer
	buf []byte
}

func (s *storer) Write(p []byte) (done int, err error) {
	for done < len(p) {
		part := p[done:min(len(p), done+1<<16-1)]
		s.buf = append(s.buf[:0], 0)
		s.buf = binary.LittleEndian.AppendUint16(s.buf, uint16(len(part)))
		s.buf = binary.LittleEndian.AppendUint16(s.buf, ^uint16(len(part)))
		s.buf = append(append(s.buf, part...), 0, 0, 0, 0xff, 0xff)
		if _, err = s.w.Write(s.buf); err != nil {
			return done, err
		}
		done += len(part)
	}
	return done, nil
}

// wantsDeflate tells that compression shall begin as soon as nothing is under way.
func (c *Conn) wantsDeflate() bool {
	return c.loggedIn && c.inflated == nil && !c.askedDeflate && c.opt.ReadOnly && c.Has("COMPRESS=DEFLATE") && c.link.wants(c.opt.Compress)
}

// deflate begins to compress. Nothing else may be under way: what comes behind the OK
// is compressed, and so is what follows the command (RFC 4978 §3).
func (c *Conn) deflate() error {
	c.askedDeflate = true
	if _, err := c.run("COMPRESS DEFLATE", nil); err != nil {
		if s := Refused(err); s != nil {
			c.note("notice", "%s", s.Raw)
			return nil
		}
		return err
	}
	c.inflated = newInflater(c.d.r)
	c.d.r = bufio.NewReaderSize(c.inflated, bufferSize)
	c.w = bufio.NewWriterSize(&storer{w: c.stream}, bufferSize)
	return c.probeDeflate()
}

// probeDeflate asks something harmless: a server that ends its blocks in a way that
// leaves us waiting, or that cannot do what it offers, is found out now.
func (c *Conn) probeDeflate() error {
	idle := c.idle.idle
	c.idle.idle = min(idle, deflateProbe)
	_, err := c.run("CAPABILITY", nil)
	c.idle.idle = idle
	if err != nil && Refused(err) == nil {
		c.link.forbid()
		return err
	}
	return nil
}

// inflationFailed tells that a connection broke for a reason that compression may be
// the cause of: then the next one does without.
func inflationFailed(err error) bool {
	var limit *CapError
	var corrupt flate.CorruptInputError
	return errors.As(err, &limit) || errors.As(err, &corrupt) || isDeadline(err)
}
