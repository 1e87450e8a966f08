package wire

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// listing collects what one Folders call learns.
type listing struct {
	c          *Conn
	folders    []Folder
	index      map[string]int // raw → folders
	subscribed map[string]bool
	personal   []Namespace
	foreign    []Namespace
	asked      string // the folder of the STATUS under way
	assumed    bool   // the inbox was not listed
}

// Folders lists the personal folders with their status.
func (c *Conn) Folders(ctx context.Context) ([]Folder, error) {
	leave, err := c.Enter(ctx)
	if err != nil {
		return nil, err
	}
	folders, err := c.list()
	if err != nil {
		err = fmt.Errorf("listing folders: %w", err)
	}
	return folders, leave(err)
}

func (c *Conn) list() ([]Folder, error) {
	l := &listing{c: c, index: map[string]int{}, subscribed: map[string]bool{}}
	if err := l.askFolders(); err != nil {
		return nil, err
	}
	if err := l.askHiddenNamespaces(); err != nil {
		return nil, err
	}
	l.settle()
	if err := l.askStatus(); err != nil {
		return nil, err
	}
	l.dropAssumed()
	ns := c.namespace
	nameAll(l.folders, ns)
	slices.SortFunc(l.folders, func(a, b Folder) int { return cmp.Compare(a.Raw, b.Raw) })
	return l.folders, nil
}

// askFolders sends NAMESPACE and LIST in one flight. Servers that offer
// LIST-EXTENDED and answer BAD to one of its options are asked plainly.
func (l *listing) askFolders() error {
	c := l.c
	var ns *Command
	if c.Has("NAMESPACE") {
		ns = c.begin("NAMESPACE", l.take)
		if err := ns.End(false); err != nil {
			return err
		}
	}
	err := l.askExtended()
	if ns != nil {
		if _, nsErr := ns.Wait(); nsErr != nil && Refused(nsErr) == nil {
			return nsErr
		}
	}
	return err
}

func (l *listing) askExtended() error {
	options := []string{"SUBSCRIBED", "SPECIAL-USE", "STATUS (" + l.statusItems() + ")"}
	if !l.c.Has("LIST-STATUS") {
		options = options[:2]
	}
	if l.c.Has("LIST-EXTENDED") {
		for _, words := range [][]string{options, slices.Delete(slices.Clone(options), 1, 2)} {
			_, err := l.c.run(`LIST "" "*" RETURN (`+strings.Join(words, " ")+")", l.take)
			if s := Refused(err); s == nil {
				return err
			}
			clear(l.index)
			l.folders = l.folders[:0]
		}
	}
	return l.askPlain()
}

func (l *listing) askPlain() error {
	verb := "LIST"
	if l.c.Has("XLIST") && !l.c.Has("SPECIAL-USE") {
		verb = "XLIST"
	}
	lsub := l.c.begin("LSUB", l.take).Word(`"" "*"`)
	if err := lsub.End(false); err != nil {
		return err
	}
	_, err := l.c.run(verb+` "" "*"`, l.take)
	if Refused(err) != nil && verb == "XLIST" {
		_, err = l.c.run(`LIST "" "*"`, l.take)
	}
	if err != nil {
		return err
	}
	if _, err := lsub.Wait(); err != nil && Refused(err) == nil {
		return err
	}
	return nil
}

// askHiddenNamespaces lists personal namespaces that "*" may leave out, such as
// Courier's "INBOX." on some servers or UW's "#mh/".
func (l *listing) askHiddenNamespaces() error {
	for _, ns := range l.personal {
		if ns.Prefix == "" || slices.ContainsFunc(l.folders, func(f Folder) bool { return strings.HasPrefix(f.Raw, ns.Prefix) }) {
			continue
		}
		cmd := l.c.begin("LIST", l.take).Word(`""`).String(ns.Prefix + "*")
		_ = cmd.End(true)
		if _, err := cmd.Wait(); err != nil && Refused(err) == nil {
			return err
		}
	}
	return nil
}

// settle picks the namespace, drops other people's folders and joins the
// subscriptions with the folders.
func (l *listing) settle() {
	c := l.c
	c.namespace = Namespace{}
	if len(l.personal) > 0 {
		c.namespace = l.personal[0]
	} else if ns, ok := l.guessNamespace(); ok {
		c.namespace = ns
	}
	if i, ok := l.index["INBOX"]; ok && c.namespace.Separator == 0 {
		c.namespace.Separator = l.folders[i].Separator
	}
	l.folders = slices.DeleteFunc(l.folders, func(f Folder) bool { return l.isForeign(f.Raw) })
	for i := range l.folders {
		f := &l.folders[i]
		f.Subscribed = f.Subscribed || l.subscribed[f.Raw]
	}
	clear(l.index)
	for i, f := range l.folders {
		l.index[f.Raw] = i
	}
	l.assumeInbox()
}

// assumeInbox adds the inbox to a listing that left it out: it exists on every server
// (RFC 9051 §5.1), and its mail must not be missed (L1). STATUS tells whether it does.
func (l *listing) assumeInbox() {
	if _, ok := l.index["INBOX"]; ok {
		return
	}
	l.assumed = true
	l.c.note("no-inbox", "the listing of %q has none", l.c.opt.Address)
	l.index["INBOX"] = len(l.folders)
	l.folders = append(l.folders, Folder{Raw: "INBOX", Separator: l.c.namespace.Separator, Selectable: true})
}

// dropAssumed takes the inbox out again when it was only assumed, and the server
// refused to tell anything of it.
func (l *listing) dropAssumed() {
	if l.assumed {
		l.folders = slices.DeleteFunc(l.folders, func(f Folder) bool { return f.Raw == "INBOX" && f.Problem != nil })
	}
}

// isForeign tells whether a folder lies in a shared or other-users namespace and in
// no personal one that is named more exactly.
func (l *listing) isForeign(raw string) bool {
	longest := func(all []Namespace) int {
		n := -1
		for _, ns := range all {
			bare := strings.TrimSuffix(ns.Prefix, string([]byte{ns.Separator}))
			if strings.HasPrefix(raw, ns.Prefix) || raw == bare && bare != "" && !isInbox(raw) {
				n = max(n, len(ns.Prefix))
			}
		}
		return n
	}
	f := longest(l.foreign)
	return f > 0 && f > longest(l.personal)
}

// guessNamespace finds the prefix of a server without NAMESPACE that keeps every
// folder below the inbox.
func (l *listing) guessNamespace() (Namespace, bool) {
	var ns Namespace
	for _, f := range l.folders {
		if isInbox(f.Raw) {
			continue
		}
		prefix := "INBOX" + string([]byte{f.Separator})
		if f.Separator == 0 || len(f.Raw) <= len(prefix) || !strings.EqualFold(f.Raw[:len(prefix)], prefix) {
			return ns, false
		}
		ns = Namespace{Prefix: f.Raw[:len(prefix)], Separator: f.Separator}
	}
	return ns, ns.Prefix != ""
}

func (l *listing) statusItems() string {
	if l.c.asksModSeq() {
		return "MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ"
	}
	return "MESSAGES UIDNEXT UIDVALIDITY"
}

// askStatus asks, many at a time, for what LIST did not tell. A refusal is the
// problem of that folder alone.
func (l *listing) askStatus() error {
	type question struct {
		folder int
		cmd    *Command
		modSeq bool // HIGHESTMODSEQ is among what is asked
	}
	var again []int // to be asked without it
	var open []question
	settle := func(keep int) error {
		for len(open) > keep {
			q := open[0]
			open = open[1:]
			l.asked = l.folders[q.folder].Raw
			_, err := q.cmd.Wait()
			if s := Refused(err); s != nil && s.Status == "BAD" && q.modSeq {
				l.c.noModSeq = true
				again = append(again, q.folder)
			} else if s != nil {
				l.folders[q.folder].Problem = fmt.Errorf("asking for the status of %q: %w", l.folders[q.folder].Raw, err)
			} else if err != nil {
				return err
			}
		}
		return nil
	}
	ask := func(i int) error {
		f := &l.folders[i]
		if err := settle(31); err != nil {
			return err
		}
		if !quotable(f.Raw) { // its literal needs the server's go-ahead
			if err := settle(0); err != nil {
				return err
			}
		}
		l.asked = f.Raw
		q := question{folder: i, modSeq: l.c.asksModSeq()}
		q.cmd = l.c.begin("STATUS", l.take).String(f.Raw).Word("(" + l.statusItems() + ")")
		if err := q.cmd.End(false); err != nil && Refused(err) == nil {
			return err
		}
		open = append(open, q)
		return nil
	}
	for i := range l.folders {
		if s := l.folders[i].Status; !l.folders[i].Selectable || s.HasUIDValidity || s.HasMessages {
			continue
		}
		if err := ask(i); err != nil {
			return err
		}
	}
	if err := settle(0); err != nil {
		return err
	}
	for _, i := range again {
		if err := ask(i); err != nil {
			return err
		}
	}
	return settle(0)
}

// take handles LIST, LSUB, XLIST, STATUS and NAMESPACE.
func (l *listing) take(u untagged) error {
	switch u.word {
	case "LIST", "XLIST":
		return l.takeList(false)
	case "LSUB":
		return l.takeList(true)
	case "STATUS":
		return l.takeStatus()
	case "NAMESPACE":
		return l.takeNamespace()
	}
	return nil
}

func (l *listing) takeNamespace() error {
	for _, into := range []*[]Namespace{&l.personal, &l.foreign, &l.foreign} {
		if err := l.c.d.spaces(); err != nil {
			return err
		}
		v, err := l.c.d.value()
		if err != nil {
			return err
		}
		for _, m := range v.list {
			if len(m.list) < 2 || m.list[0].kind == listValue {
				continue
			}
			ns := Namespace{Prefix: m.list[0].text}
			if sep := m.list[1].text; len(sep) == 1 {
				ns.Separator = sep[0]
			}
			*into = append(*into, ns)
		}
	}
	return nil
}
