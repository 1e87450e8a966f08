package wire

import (
	"context"
	"fmt"
	"math"
	"strings"
)

// QuotaRoot is one limit that a folder is under (RFC 9208 §4.2.1). What is not limited has the limit -1.
type QuotaRoot struct {
	Name                  string
	Octets, OctetsLimit   int64
	Messages, MessagesMax int64
}

// Quota asks for the limits of a folder. A server without QUOTA, or one that does not want to tell, has none.
func (c *Conn) Quota(ctx context.Context, raw string) (roots []QuotaRoot, err error) {
	if !c.Has("QUOTA") || !quotable(raw) {
		return nil, nil
	}
	leave, err := c.Enter(ctx)
	if err != nil {
		return nil, err
	}
	cmd := c.begin("GETQUOTAROOT", func(u untagged) error {
		if u.word != "QUOTA" {
			return nil
		}
		root, err := c.takeQuota()
		if err == nil && len(roots) < maxQuotaRoots {
			roots = append(roots, root)
		}
		return err
	}).String(raw)
	_ = cmd.End(true) // Wait gives its error
	_, err = cmd.Wait()
	if Refused(err) != nil {
		return nil, leave(nil)
	}
	if err != nil {
		err = fmt.Errorf("asking for the quota of %q: %w", raw, err)
	}
	return roots, leave(err)
}

const maxQuotaRoots = 16

// takeQuota reads `"name" (STORAGE 5 1024 MESSAGE 3 100)`; storage is told in units of 1024 octets.
func (c *Conn) takeQuota() (root QuotaRoot, err error) {
	root.OctetsLimit, root.MessagesMax = -1, -1
	values := [2]value{}
	for i := range values {
		if err = c.d.spaces(); err == nil {
			values[i], err = c.d.value()
		}
		if err != nil {
			return root, err
		}
	}
	root.Name = values[0].text
	for list := values[1].list; len(list) >= 3; list = list[3:] {
		used, err1 := parseNumber([]byte(list[1].text))
		limit, err2 := parseNumber([]byte(list[2].text))
		if err1 != nil || err2 != nil || used > math.MaxInt64>>10 || limit > math.MaxInt64>>10 {
			continue
		}
		switch strings.ToUpper(list[0].text) {
		case "STORAGE":
			root.Octets, root.OctetsLimit = int64(used)<<10, int64(limit)<<10
		case "MESSAGE":
			root.Messages, root.MessagesMax = int64(used), int64(limit)
		}
	}
	return root, nil
}
