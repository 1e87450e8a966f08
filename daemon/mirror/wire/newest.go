package wire

import (
	"context"
	"fmt"
)

// Newest calls fn for the last n messages of the open folder, as List does. They are
// asked for by their place in it, so that nothing else has to be listed before.
func (c *Conn) Newest(ctx context.Context, n uint32, fn func(Entry) error) error {
	exists := c.selected.Exists
	if exists == 0 || n == 0 { // a FETCH of nothing is BAD
		return nil
	}
	first := exists - min(exists, n) + 1
	return c.entries(ctx, fmt.Sprintf("FETCH %d:%d %s", first, exists, c.listItems()), UIDRange{From: 1}, fn)
}
