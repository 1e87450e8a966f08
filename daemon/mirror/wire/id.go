package wire

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxIDFields and maxIDOctets bound what is kept of a server's ID (RFC 2971 §3.3 allows
// 30 fields with values of 1024 octets).
const (
	maxIDFields = 30
	maxIDOctets = 200
)

// introduce says who we are where a source offers ID (RFC 2971): some, as NetEase, open
// no folder to a client that has not. The answer is not waited for and costs no round
// trip; a refusal is nothing but a line of the trace.
func (c *Conn) introduce() error {
	if !c.opt.ReadOnly || !c.Has("ID") {
		return nil
	}
	return c.begin("ID", c.takeID).Word(`("name" "mailstork")`).End(false)
}

// AskID asks a server that nobody has logged in to what it is, if it offers to tell.
func (c *Conn) AskID(ctx context.Context) (string, error) {
	leave, err := c.Enter(ctx)
	if err != nil {
		return "", err
	}
	if c.caps == nil {
		_, err = c.run("CAPABILITY", nil)
	}
	if err == nil && c.Has("ID") {
		_, err = c.run(`ID ("name" "mailstork")`, c.takeID)
	}
	if Refused(err) != nil {
		err = nil
	}
	return c.ServerID(), leave(err)
}

// takeID reads `* ID ("name" "Dovecot" …)` or `* ID NIL`.
func (c *Conn) takeID(u untagged) error {
	if u.word != "ID" {
		return nil
	}
	if err := c.d.spaces(); err != nil {
		return err
	}
	v, err := c.d.value()
	if err != nil {
		return err
	}
	told := map[string]string{}
	for i := 0; i+1 < len(v.list) && len(told) < maxIDFields; i += 2 {
		if key, value := v.list[i], v.list[i+1]; key.kind != listValue && value.kind != listValue && value.kind != nilValue {
			told[strings.ToLower(shorten(key.text, maxIDOctets))] = shorten(value.text, maxIDOctets)
		}
	}
	c.serverID = told
	return nil
}

// ServerID is what the server said it is, in one line, name and version first; "" when
// it said nothing. The words are the server's: show them quoted.
func (c *Conn) ServerID() string {
	var out []string
	add := func(key string) {
		if v := c.serverID[key]; v != "" {
			out = append(out, v)
		}
	}
	add("name")
	add("version")
	for _, key := range slices.Sorted(maps.Keys(c.serverID)) {
		if key != "name" && key != "version" {
			out = append(out, fmt.Sprintf("%s=%s", key, c.serverID[key]))
		}
	}
	return strings.Join(out, " ")
}
