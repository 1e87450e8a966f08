package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mailstork/daemon/account"
)

const (
	fileMode = 0o640 // Dovecot's auth process reads them by its group
	dirMode  = 0o750
)

// passdbLine is one account for Dovecot's passdb; nothing before its owner's first login here, and nothing while its
// logins lead elsewhere: the hook holds them then, or the other file passes them on.
func passdbLine(a account.Account) string {
	if a.PasswordHash == "" || leadsElsewhere(a) || !fitsName(a.Address) || !fitsHash(a.PasswordHash) {
		return ""
	}
	return string(a.Address) + ":" + a.PasswordHash + "::::::\n"
}

// userdbLine is one account for Dovecot's userdb: address, no password, uid, gid, no comment, home, no shell, fields.
func (p *Provisioner) userdbLine(a account.Account, fields string) string {
	if !fitsName(a.Address) {
		return ""
	}
	uid, gid, home := p.Userdb(a.Address)
	return fmt.Sprintf("%s::%d:%d::%s::%s\n", a.Address, uid, gid, home, fields)
}

// fitsName tells whether an address can be the name of an entry. Addresses come from account.ParseAddress; this is the
// last door before a file in which a colon or a line end would make another entry, and "#" a comment.
func fitsName(address account.Address) bool {
	return address != "" && address[0] != '#' && fitsField(string(address)) && !strings.Contains(string(address), " ")
}

// fitsHash tells whether text is "{SCHEME}hash" in one field.
func fitsHash(text string) bool {
	return strings.HasPrefix(text, "{") && strings.Contains(text, "}") && fitsField(text) && !strings.Contains(text, " ")
}

// fitsField tells whether text stays inside one field.
func fitsField(text string) bool { return fitsLine(text) && !strings.Contains(text, ":") }

// fitsLine tells whether text is printable ASCII.
func fitsLine(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// files are the passwd-files, written from the database by one goroutine at a time.
type files struct {
	accounts                func(context.Context) ([]account.Account, error)
	domains                 func(context.Context) ([]account.Domain, error)
	userdb, passdb, proxied *file
	writing                 chan struct{} // holds a token while somebody writes

	mu   sync.Mutex
	next *round // the next write, which whoever asks now waits for
}

// round is one write for all who asked before it began.
type round struct {
	done chan struct{}
	err  error
}

// sync returns after a write that began after the call is durable. Calls that come together share a write.
func (f *files) sync(ctx context.Context) error {
	f.mu.Lock()
	if f.next == nil {
		f.next = &round{done: make(chan struct{})}
	}
	mine := f.next
	f.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case f.writing <- struct{}{}:
		f.lead(ctx, mine)
		<-f.writing
		return mine.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the passwd-files: %w", ctx.Err())
	}
}

// lead writes for everybody in the round, unless somebody else has done it meanwhile.
func (f *files) lead(ctx context.Context, mine *round) {
	f.mu.Lock()
	if f.next != mine {
		f.mu.Unlock()
		<-mine.done
		return
	}
	f.next = nil
	f.mu.Unlock()
	defer close(mine.done)
	mine.err = errUnfinished                       // what the others get should this panic
	mine.err = f.write(context.WithoutCancel(ctx)) // others wait for it, too
}

var errUnfinished = errors.New("writing passwd-files: not finished")

// write makes all files equal to the database. The userdb comes first: a login that finds its passdb entry needs it.
func (f *files) write(ctx context.Context) error {
	accounts, err := f.accounts(ctx)
	if err != nil {
		return fmt.Errorf("writing passwd-files: %w", err)
	}
	domains, err := f.domains(ctx)
	if err != nil {
		return fmt.Errorf("writing passwd-files: %w", err)
	}
	for _, one := range []*file{f.userdb, f.passdb, f.proxied} {
		if err := one.write(accounts, domains); err != nil {
			return fmt.Errorf("writing passwd-file %s: %w", one.path, err)
		}
	}
	return nil
}

// file is one passwd-file.
type file struct {
	path, group string
	line        func(account.Account, account.Domain) string
	unsure      bool         // the last write failed: what is there may not be durable
	seen        atomic.Int64 // when Dovecot sees the last write at the latest, Unix nanoseconds
}

// SeenBy returns when Dovecot 2.3 sees a passwd-file that is written now: it looks once in each second of the wall
// clock (measured: 0.2 to 1.0 s).
func SeenBy(written time.Time) time.Time {
	return written.Truncate(time.Second).Add(time.Second + 50*time.Millisecond)
}

// ReplaceFile puts a passwd-file into place that we and the group may read (an empty group: only ours), as Dovecot must
// find it: whole, durable, and with a time by which it notices the change.
func ReplaceFile(path string, content []byte, group string) error {
	gid, err := groupID(group)
	if err != nil {
		return err
	}
	return replace(path, content, gid)
}

func (f *file) write(accounts []account.Account, domains []account.Domain) error {
	byName := map[string]account.Domain{}
	for _, d := range domains {
		byName[d.Name] = d
	}
	var content bytes.Buffer
	content.WriteString("# Written by mailstork; changes are lost.\n")
	for _, a := range accounts {
		content.WriteString(f.line(a, byName[a.Domain]))
	}
	gid, err := groupID(f.group)
	if err != nil {
		return err
	}
	if !f.unsure && f.isAlready(content.Bytes(), gid) {
		return nil
	}
	f.unsure = true
	if err := replace(f.path, content.Bytes(), gid); err != nil {
		return err
	}
	f.unsure = false
	f.seen.Store(SeenBy(time.Now()).UnixNano())
	return nil
}

func groupID(name string) (int, error) {
	if name == "" {
		return os.Getegid(), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// isAlready tells whether the file has this content, mode and group.
func (f *file) isAlready(content []byte, gid int) bool {
	info, err := os.Lstat(f.path)
	if err != nil || info.Mode() != fileMode || info.Size() != int64(len(content)) {
		return false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Gid) != gid {
		return false
	}
	there, err := os.ReadFile(f.path)
	return err == nil && bytes.Equal(there, content)
}

// replace puts a new file in the place of the old one. Readers see one or the other, also after a power cut.
func replace(path string, content []byte, gid int) (err error) {
	dir := filepath.Dir(path)
	if err := makeDir(dir, gid); err != nil {
		return err
	}
	temporary := filepath.Join(dir, "."+filepath.Base(path)+".new")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary))
		}
	}()
	if err := errors.Join(fill(out, content, gid, stampAfter(path, len(content))), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(dir)
}

func fill(out *os.File, content []byte, gid int, stamp time.Time) error {
	if _, err := out.Write(content); err != nil {
		return err
	}
	if err := out.Chown(-1, gid); err != nil {
		return err
	}
	if err := out.Chmod(fileMode); err != nil {
		return err
	}
	if err := os.Chtimes(out.Name(), stamp, stamp); err != nil {
		return err
	}
	return out.Sync()
}

// stampAfter returns the time for a new file of a size. Dovecot 2.3 takes a file for unchanged when its size and the
// second of its time are; then the time goes one second ahead.
func stampAfter(path string, size int) time.Time {
	now := time.Now()
	old, err := os.Stat(path)
	if err == nil && old.Size() == int64(size) && old.ModTime().Unix() >= now.Unix() {
		return old.ModTime().Add(time.Second)
	}
	return now
}

// makeDir makes the folder of the files, open to the group, when it is not there.
func makeDir(dir string, gid int) error {
	if err := os.MkdirAll(filepath.Dir(dir), dirMode); err != nil {
		return err
	}
	err := os.Mkdir(dir, dirMode)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chown(dir, -1, gid)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
