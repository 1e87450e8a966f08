package live

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailstork/test/site"
	"mailstork/test/testbed"
)

// idles lets a mail program wait in the folder of a notice, as most do all day. It does so when idles returns. It is told
// when the letter is replaced, and goodbye in the end; else an error comes.
func (b *bench) idles(address, password string) (replaced chan struct{}, over chan error) {
	t := b.t
	t.Helper()
	conn, err := net.Dial("tcp", b.Dest.IMAPAddress)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(5*time.Minute)))
	_, err = fmt.Fprintf(conn, "a AUTHENTICATE PLAIN %s\r\nb SELECT INBOX\r\nc IDLE\r\n", base64.StdEncoding.EncodeToString([]byte("\x00"+address+"\x00"+password)))
	must(t, err)
	lines := bufio.NewScanner(conn)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "+ idling") {
	}
	must(t, lines.Err())
	replaced, over = make(chan struct{}), make(chan error, 1)
	go func() {
		told := sync.OnceFunc(func() { close(replaced) })
		for lines.Scan() {
			if line := lines.Text(); strings.HasPrefix(line, "* BYE") {
				over <- nil
				return
			} else if strings.HasSuffix(line, "EXPUNGE") {
				told()
			}
		}
		over <- fmt.Errorf("it was not told goodbye: %w", lines.Err())
	}()
	return replaced, over
}

// An operator lets everybody in while the first pass goes on: its owner sees what is here, and the rest follows.
func TestAnAccountIsOpenedInTheMiddleOfItsFirstPassWhenNobodyShallWaitAnyMore(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := startWaiting(t, version, map[string]string{anna: annaPass})
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 900, 3000)
		b.way.Grant(aPart)
		c, err := b.Dest.Login(anna, annaPass)
		must(t, err)
		_, err = readNotice(c)
		must(t, err)
		b.waitFor(anna, "copied", func(a shown) bool { return a.State == "copying" })
		_, err = b.CLI("domain", "set", domain, "--first-login", "local")
		must(t, err)
		if a := b.waitFor(anna, "open", isHere); a.State != "copying" {
			t.Errorf("it was opened late: %+v", a)
		}
		b.way.Hurry()
		must(t, site.Eventually(func() error {
			if _, err := c.Command("NOOP"); err == nil {
				return errors.New("the session that shows the letter goes on")
			}
			return nil
		}))
		b.waitFor(anna, "followed", func(a shown) bool { return a.State == "following" })
		b.passes(anna, 1)
		b.wantNothingLeft(o)
		log, err := b.CLI("log", anna)
		if must(t, err); !strings.Contains(log, "shows nobody a notice any more") {
			t.Errorf("the log does not say why:\n%s", log)
		}
	})
}

// The folder is in a place that a machine forgets, and the daemon may be somebody else's after an upgrade.
func TestALetterThatWasLostIsThereAgainAfterAStart(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := startWaiting(t, version, map[string]string{anna: annaPass})
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 900, 3000)
		b.way.Grant(aPart)
		c, err := b.Dest.Login(anna, annaPass)
		must(t, err)
		before, err := readNotice(c)
		must(t, err, c.Close(), b.Kill(syscall.SIGTERM), os.RemoveAll(filepath.Join(b.Dir, "run", "notice")), b.StartDaemon())
		c, err = b.Dest.Login(anna, annaPass)
		must(t, err)
		after, err := readNotice(c)
		if must(t, err, c.Close()); after.uid <= before.uid {
			t.Errorf("after the UID %d came %d", before.uid, after.uid)
		}
	})
}

// Who waits is told of a wrong password what everybody is told, and not sooner.
func TestAWrongPasswordTellsNobodyWhoWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := startWith(t, version, map[string]string{anna: annaPass, "listed@" + domain: annaPass, "unlisted@" + domain: annaPass}, "notice", func(o *site.Options) { o.Dest.POP3 = true })
		list := filepath.Join(t.TempDir(), "list")
		must(t, os.WriteFile(list, []byte("address\n"+anna+"\nlisted@"+domain+"\n"), 0o600))
		_, err1 := b.CLI("account", "import", list, "--domain", domain)
		_, err2 := b.CLI("domain", "set", domain, "--accounts", "listed")
		must(t, err1, err2)
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 900, 3000)
		b.way.Grant(aPart)
		c, err := b.Dest.Login(anna, annaPass)
		must(t, err)
		_, err = readNotice(c)
		must(t, err, c.Close())
		answers := map[string][]string{}
		for _, name := range []string{"anna", "listed", "unlisted", "nobody"} {
			for n := range 2 { // the second one is remembered
				began := time.Now()
				_, err := b.Dest.Login(name+"@"+domain, "wrong")
				var imap *testbed.StatusError
				if took := time.Since(began); !errors.As(err, &imap) || took < 400*time.Millisecond {
					t.Errorf("login %d of %s took %v: %v", n+1, name, took, err)
					continue
				}
				_, err = b.Dest.LoginPOP3(name+"@"+domain, "wrong")
				var pop *testbed.POP3Error
				if !errors.As(err, &pop) {
					t.Errorf("POP3 login of %s: %v", name, err)
					continue
				}
				said := imap.Error() + " / " + pop.Error()
				answers[said] = append(answers[said], name)
			}
		}
		if len(answers) != 1 {
			t.Errorf("answers differ: %v", answers)
		}
		if !b.waits(anna) {
			t.Error("nobody waited")
		}
	})
}

// The letter's folder is named after the hash of the password, which is another one then.
func TestAPasswordThatChangedAtTheSourceIsLearntWhileItsOwnerWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := startWaiting(t, version, map[string]string{anna: annaPass})
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 900, 3000)
		b.way.Grant(aPart)
		c, err := b.Dest.Login(anna, annaPass)
		must(t, err)
		_, err = readNotice(c)
		must(t, err)
		const next = "another one"
		must(t, b.Source.SetPassword(anna, next))
		b.way.Cut()
		b.waitFor(anna, "stuck", func(a shown) bool { return strings.Contains(a.Stuck, "refuses the password") })
		fresh, err := b.Dest.Login(anna, next)
		must(t, err)
		t.Cleanup(fresh.Cut)
		_, err = readNotice(fresh)
		must(t, err)
		if _, err := b.Dest.Login(anna, annaPass); err == nil || !strings.Contains(err.Error(), "AUTHENTICATIONFAILED") {
			t.Errorf("the old password: %v", err)
		}
		must(t, site.Eventually(func() error {
			if _, err := c.Command("NOOP"); err == nil {
				return errors.New("the session of the old password goes on")
			}
			return nil
		}))
		b.way.Hurry()
		o.password = next
		b.waitFor(anna, "open", isHere)
		b.wantNothingLeft(o)
	})
}

func TestWhoHasWaitedIsWelcomedInTheAccountItself(t *testing.T) {
	onBoth(t, func(t *testing.T, version string) {
		b := startWaiting(t, version, map[string]string{anna: annaPass})
		_, err := b.CLI("domain", "set", domain, "--welcome", "yes")
		must(t, err)
		o := newOwner(t, b.Dest, anna, annaPass)
		o.seed(b.Source, 60, 300)
		c, err := b.Dest.Login(anna, annaPass)
		must(t, err)
		c.Cut()
		b.landsHere(o)
		b.passes(anna, 1)
		o.checkFresh("when all is here")
		c, err = b.Dest.Login(anna, annaPass)
		must(t, err)
		_, err = c.Select("INBOX")
		must(t, err)
		uids, err := c.Search(`HEADER MESSAGE-ID "mailstork-notice" SUBJECT "All your mail is here"`)
		if must(t, err, c.Close()); len(uids) != 1 {
			t.Errorf("want one letter that says that all is here, got %v", uids)
		}
	})
}
