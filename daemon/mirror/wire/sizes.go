package wire

import (
	"context"
	"fmt"
	"math"
	"strings"
)

// Sizes asks for the octets of folders (RFC 8438), many at a time. A server that does not tell has none in the
// answer; neither has a folder that it refuses.
func (c *Conn) Sizes(ctx context.Context, raws []string) (map[string]int64, error) {
	sizes := map[string]int64{}
	if !c.Has("STATUS=SIZE") {
		return sizes, nil
	}
	leave, err := c.Enter(ctx)
	if err != nil {
		return nil, err
	}
	for len(raws) > 0 && err == nil {
		some := raws[:min(len(raws), 32)]
		raws = raws[len(some):]
		err = c.askSizes(some, sizes)
	}
	if err != nil {
		err = fmt.Errorf("asking for the size of folders: %w", err)
	}
	return sizes, leave(err)
}

func (c *Conn) askSizes(raws []string, sizes map[string]int64) error {
	var open []*Command
	for _, raw := range raws {
		if !quotable(raw) {
			continue // its literal would need the server's go-ahead
		}
		cmd := c.begin("STATUS", func(u untagged) error { return c.takeSize(u, sizes) }).String(raw).Word("(SIZE)")
		if err := cmd.End(false); err != nil && Refused(err) == nil {
			return err
		}
		open = append(open, cmd)
	}
	for _, cmd := range open {
		if _, err := cmd.Wait(); err != nil && Refused(err) == nil {
			return err
		}
	}
	return nil
}

func (c *Conn) takeSize(u untagged, sizes map[string]int64) error {
	if u.word != "STATUS" {
		return nil
	}
	if err := c.d.spaces(); err != nil {
		return err
	}
	name, items, err := c.d.statusLine()
	if err != nil {
		return err
	}
	if isInbox(name) {
		name = "INBOX"
	}
	for i := 0; i+1 < len(items); i += 2 {
		n, err := parseNumber([]byte(items[i+1]))
		if strings.EqualFold(items[i], "SIZE") && err == nil && n <= math.MaxInt64 {
			sizes[name] = int64(n)
		}
	}
	return nil
}
