package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"

	"mailstork/daemon/mirror/destination"
	"mailstork/daemon/mirror/source"
	"mailstork/daemon/mirror/wire"
)

// sourceConn is what a pass needs of a connection to the source. One goroutine at a time.
type sourceConn interface {
	Folders(ctx context.Context) ([]wire.Folder, error)
	Sizes(ctx context.Context, raws []string) (map[string]int64, error)
	Examine(ctx context.Context, raw string) (wire.Selected, error)
	List(ctx context.Context, r wire.UIDRange, fn func(wire.Entry) error) error
	Newest(ctx context.Context, n uint32, fn func(wire.Entry) error) error
	UIDs(ctx context.Context) ([]uint32, error)
	Changes(ctx context.Context, since uint64, fn func(wire.Entry) error) error
	Headers(ctx context.Context, uids []uint32, fields []string, fn func(uid uint32, header []byte) error) (missing []uint32, err error)
	Fetch(ctx context.Context, uids []uint32, fn func(wire.Message) error) (missing []uint32, err error)
	FetchAhead(ctx context.Context, uids []uint32, next wire.Foresight, fn func(wire.Message) error) (missing []uint32, err error)
	Ahead(ctx context.Context, next wire.Foresight) error
	Has(capability string) bool
	Oddities() []wire.Oddity
	Err() error
	Close() error
}

// destinationConn is what a pass needs of a connection to the destination. One goroutine at a time.
type destinationConn interface {
	Folders(ctx context.Context) ([]wire.Folder, error)
	Namespace() wire.Namespace
	Quota(ctx context.Context, raw string) ([]wire.QuotaRoot, error)
	Create(ctx context.Context, raw string) error
	Rename(ctx context.Context, from, to string) error
	Subscribe(ctx context.Context, raw string) error
	Unsubscribe(ctx context.Context, raw string) error
	Select(ctx context.Context, raw string) (wire.Selected, error)
	Examine(ctx context.Context, raw string) (wire.Selected, error)
	List(ctx context.Context, r wire.UIDRange, fn func(wire.Entry) error) error
	UIDs(ctx context.Context) ([]uint32, error)
	Flags(ctx context.Context, uids []uint32, fn func(uid uint32, flags []string)) error
	Headers(ctx context.Context, uids []uint32, fields []string, fn func(uid uint32, header []byte) error) (missing []uint32, err error)
	Digests(ctx context.Context, uids []uint32, fn func(uid uint32, size int64, digest [32]byte) error) (missing []uint32, err error)
	StoreFlags(ctx context.Context, uids []uint32, change destination.FlagChange, flags []string) (unkept []string, err error)
	Expunge(ctx context.Context, uids []uint32) error
	CopyBehind(ctx context.Context, uids []uint32) (destination.Copied, error)
	BeginAppend(raw string) batch
	Oddities() []wire.Oddity
	Err() error
	Close() error
}

// batch is destination.Batch.
type batch interface {
	Full() bool
	Len() int
	Add(ctx context.Context, it destination.Item, body io.Reader) (unkept []string, err error)
	Send(ctx context.Context) error
	Wait(ctx context.Context) (destination.Appended, error)
	Abort()
}

var _ sourceConn = (*source.Conn)(nil)

// stepped is a destination connection whose changing calls pass a step point: the one seam for the crash matrix.
type stepped struct {
	*destination.Conn
	step func(ctx context.Context, point string) error
}

func (s stepped) before(ctx context.Context, point string) error {
	if err := s.step(ctx, point); err != nil {
		_ = s.Close()
		return err
	}
	return nil
}

func (s stepped) Create(ctx context.Context, raw string) error {
	if err := s.before(ctx, "create"); err != nil {
		return err
	}
	return s.Conn.Create(ctx, raw)
}

func (s stepped) Rename(ctx context.Context, from, to string) error {
	if err := s.before(ctx, "rename"); err != nil {
		return err
	}
	return s.Conn.Rename(ctx, from, to)
}

func (s stepped) Unsubscribe(ctx context.Context, raw string) error {
	if err := s.before(ctx, "unsubscribe"); err != nil {
		return err
	}
	return s.Conn.Unsubscribe(ctx, raw)
}

func (s stepped) Subscribe(ctx context.Context, raw string) error {
	if err := s.before(ctx, "subscribe"); err != nil {
		return err
	}
	return s.Conn.Subscribe(ctx, raw)
}

func (s stepped) StoreFlags(ctx context.Context, uids []uint32, change destination.FlagChange, flags []string) ([]string, error) {
	if err := s.before(ctx, "store"); err != nil {
		return nil, err
	}
	return s.Conn.StoreFlags(ctx, uids, change, flags)
}

func (s stepped) Expunge(ctx context.Context, uids []uint32) error {
	if err := s.before(ctx, "expunge"); err != nil {
		return err
	}
	return s.Conn.Expunge(ctx, uids)
}

func (s stepped) CopyBehind(ctx context.Context, uids []uint32) (destination.Copied, error) {
	if err := s.before(ctx, "copy"); err != nil {
		return destination.Copied{}, err
	}
	return s.Conn.CopyBehind(ctx, uids)
}

func (s stepped) BeginAppend(raw string) batch { return steppedBatch{s.Conn.BeginAppend(raw), s} }

type steppedBatch struct {
	*destination.Batch
	conn stepped
}

func (b steppedBatch) Add(ctx context.Context, it destination.Item, body io.Reader) ([]string, error) {
	if err := b.conn.before(ctx, "add"); err != nil {
		return nil, err
	}
	return b.Batch.Add(ctx, it, body)
}

func (b steppedBatch) Send(ctx context.Context) error {
	if err := b.conn.before(ctx, "send"); err != nil {
		return err
	}
	return b.Batch.Send(ctx)
}

func (b steppedBatch) Wait(ctx context.Context) (destination.Appended, error) {
	if err := b.conn.before(ctx, "wait"); err != nil {
		return destination.Appended{}, err
	}
	return b.Batch.Wait(ctx)
}

// pair is one connection to each side, used by one goroutine at a time and opened when first needed.
type pair struct {
	o           Options
	source      sourceConn
	destination destinationConn
	examined    string // the folder that is open at the source
	validity    uint32 // and its UIDVALIDITY

	stream  *stream // of the chunks that it copies
	aborted bool    // the destination's connection ended over a batch that was not sent, and all that was sent had its answer

	ahead map[int]int64 // pieces of work that wait for this pair and were asked for, with their sizes

	warming chan struct{} // closed when warm has ended; until then source is not ours
	cool    context.CancelFunc
	cold    error // why warm brought nothing

	unwelcome bool // the source did not let it in, and lets others in
}

// warm connects to the source beside what another pair does. It may fail: whoever needs the connection dials again.
func (p *pair) warm(ctx context.Context) {
	if p.source != nil || p.warming != nil {
		return
	}
	ctx, p.cool = context.WithCancel(ctx)
	p.warming = make(chan struct{})
	go func() {
		defer close(p.warming)
		conn, err := source.Dial(ctx, p.o.Source)
		if err != nil {
			p.cold = err
			return
		}
		p.source = conn
	}()
}

// warmed waits until warm has ended.
func (p *pair) warmed() {
	if p.warming != nil {
		<-p.warming
		p.cool()
		p.warming = nil
	}
}

// join connects to the source unless that was tried in vain a moment ago.
func (p *pair) join(ctx context.Context) error {
	p.warmed()
	if p.cold != nil {
		return p.cold
	}
	_, err := p.from(ctx)
	return err
}

func (p *pair) from(ctx context.Context) (sourceConn, error) {
	p.warmed()
	if p.source != nil && p.source.Err() != nil {
		_ = p.source.Close()
		p.source, p.examined = nil, ""
	}
	if p.source == nil {
		conn, err := source.Dial(ctx, p.o.Source)
		if err != nil {
			return nil, &sideError{side: atSource, err: fmt.Errorf("connecting to the source: %w", err)}
		}
		p.source = conn
	}
	return p.source, nil
}

func (p *pair) to(ctx context.Context) (destinationConn, error) {
	if p.destination != nil && p.destination.Err() != nil { // nothing of it is in doubt: that would have ended the pass
		_ = p.destination.Close()
		p.destination, p.aborted = nil, false
	}
	if p.destination == nil {
		conn, err := destination.Dial(ctx, p.o.Destination)
		if err != nil {
			return nil, &sideError{side: atDestination, err: fmt.Errorf("connecting to the destination: %w", err)}
		}
		p.destination = stepped{conn, p.o.Step}
	}
	return p.destination, nil
}

// finish reads the answer that the last chunk left, before anything else is asked of the destination.
func (p *pair) finish(ctx context.Context) error {
	if p.stream == nil {
		return nil
	}
	if err := p.stream.finish(ctx, nil); !errors.Is(err, errLeft) { // which the folder's problem tells
		return err
	}
	return nil
}

// waiting is the size of all that waits for this pair.
func (p *pair) waiting() (size int64) {
	for _, n := range p.ahead {
		size += n
	}
	return size
}

// close ends both connections and returns what they had to say about their servers.
func (p *pair) close() (oddities []string) {
	if p.warming != nil {
		p.cool()
		p.warmed()
	}
	if p.source != nil {
		for _, o := range p.source.Oddities() {
			oddities = append(oddities, "source: "+o.Kind+": "+o.Detail)
		}
		_ = p.source.Close() // LOGOUT is a courtesy
	}
	if p.destination != nil {
		for _, o := range p.destination.Oddities() {
			oddities = append(oddities, "destination: "+o.Kind+": "+o.Detail)
		}
		_ = p.destination.Close()
	}
	p.source, p.destination, p.examined = nil, nil, ""
	return oddities
}

// examine opens a folder at the source unless it is open already.
func (p *pair) examine(ctx context.Context, raw string) (wire.Selected, error) {
	conn, err := p.from(ctx)
	if err != nil {
		return wire.Selected{}, err
	}
	p.examined = ""
	selected, err := conn.Examine(ctx, raw)
	if err == nil {
		p.examined, p.validity = raw, selected.UIDValidity
	}
	return selected, err
}
