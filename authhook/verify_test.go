package authhook

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"mailstork/daemon/account"
	"mailstork/daemon/secret"
	"mailstork/test/testbed"
)

const canary = "c4n4ry-\"p4ss\\word"

func everyByte() string {
	var all []byte
	for b := 1; b < 256; b++ {
		if b != '\r' && b != '\n' {
			all = append(all, byte(b))
		}
	}
	return string(all)
}

func TestEveryByteOfAPasswordArrivesByPlainAndByLogin(t *testing.T) {
	for name, loginOnly := range map[string]bool{"AUTHENTICATE PLAIN": false, "LOGIN": true} {
		t.Run(name, func(t *testing.T) {
			server := &libraryServer{}
			src, arrived := server.start(t, loginOnly)
			passwords := []string{everyByte(), " ", "{5}", "{5+}", `"`, `\`, "x y", strings.Repeat("ä", 450)}
			for _, password := range passwords {
				if err := verifyAt(t, src, password); err != nil {
					t.Errorf("password %q: %v", password, err)
				}
			}
			for i, password := range passwords {
				if want := [2]string{"anna@example.org", password}; i >= len(server.logins) || server.logins[i] != want {
					t.Errorf("login %d: got %q, want %q", i, server.logins, want)
				}
			}
			if loginOnly && strings.Contains(arrived.String(), `LOGIN "`) {
				t.Errorf("a quoted string was sent: %q", arrived)
			}
		})
	}
}

func TestPasswordsThatIMAPCannotCarryAreSentNowhere(t *testing.T) {
	src, arrived := scripted(t, "S: * OK hello")
	for _, password := range []string{"", "a\rb", "a\nb", "a\x00b", "x\r\na2 LOGOUT"} {
		var problem *SourceProblem
		if err := verifyAt(t, src, password); !errors.As(err, &problem) || problem.Sent {
			t.Errorf("password %q: got %v, want a problem before sending", password, err)
		}
	}
	for _, user := range []string{"", "anna\r\n", "an\x00na"} {
		var problem *SourceProblem
		err := testVerifier.Verify(t.Context(), src, user, secret.FromString(canary))
		if !errors.As(err, &problem) || problem.Sent {
			t.Errorf("user %q: got %v, want a problem before sending", user, err)
		}
	}
	if arrived.String() != "" {
		t.Errorf("sent %q", arrived)
	}
}

// greet is how a scripted source gets to the login.
var greet = []string{"S: * OK hello", "C: m1 CAPABILITY", "S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR", "S: m1 OK done", "C: m2 AUTHENTICATE PLAIN "}

func TestOnlyAClearNoIsAWrongPassword(t *testing.T) {
	for _, c := range []struct {
		answer string
		wrong  bool
	}{
		{"m2 NO [AUTHENTICATIONFAILED] Authentication failed.", true},
		{"m2 NO [authenticationfailed] LOGIN Invalid credentials", true},
		{"m2 NO Login failed.", true},
		{"m2 NO AUTHENTICATE failed", true},
		{"m2 no invalid user or password", true},
		{"m2 NO [ALERT] Invalid credentials (Failure)", true},
		{"m2 NO", true},
		{"m2 NO [UNAVAILABLE] Temporary authentication failure.", false},
		{"m2 NO [ALERT] Too many simultaneous connections. (Failure)", false},
		{"m2 NO [LIMIT] LOGIN Rate limit hit", false},
		{"m2 NO [INUSE] try later", false},
		{"m2 NO [AUTHORIZATIONFAILED] not you", false},
		{"m2 NO [EXPIRED] change your password", false},
		{"m2 NO [CONTACTADMIN] disabled", false},
		{"m2 NO [PRIVACYREQUIRED] use TLS", false},
		{"m2 NO [SYS/TEMP] sorry", false},
		{"m2 NO [UNKNOWN", false},
		{"m2 NO Temporarily blocked", false},
		{"m2 NO account locked", false},
		{"m2 NO Internal error occurred", false},
		{"m2 BAD command unknown", false},
		{"m2 BYE", false},
		{"* BYE too many failures", false},
		{"m9 NO Login failed.", false},
		{"m2NO Login failed.", false},
		{"garbage", false},
		{"", false},
	} {
		src, _ := listen(t, func(conn net.Conn) {
			play(t, conn, append(greet, "S: "+c.answer)...)
		})
		err := testVerifierQuick.Verify(t.Context(), src, "anna@example.org", secret.FromString("geheim-1"))
		var wrong *WrongPassword
		var problem *SourceProblem
		switch {
		case c.wrong && (!errors.As(err, &wrong) || wrong.Answer != strings.TrimPrefix(c.answer, "m2 ")):
			t.Errorf("%q: got %v, want a wrong password with this answer", c.answer, err)
		case !c.wrong && (!errors.As(err, &problem) || !problem.Sent):
			t.Errorf("%q: got %v, want a problem after sending", c.answer, err)
		}
	}
}

// testVerifierQuick is for servers that stop talking.
var testVerifierQuick = IMAPVerifier{AllowPrivateAddresses: true, IdleTimeout: 300 * time.Millisecond}

func TestLoginWithoutInboxIsNotProven(t *testing.T) {
	for _, answer := range []string{"m3 NO no such mailbox", "m3 BAD what?", "* BYE"} {
		src, _ := scripted(t, append(greet, "S: m2 OK welcome, whoever you are", "C: m3 EXAMINE INBOX", "S: "+answer)...)
		var problem *SourceProblem
		err := testVerifierQuick.Verify(t.Context(), src, "anna@example.org", secret.FromString("any password"))
		if !errors.As(err, &problem) || !problem.Sent {
			t.Errorf("%q: got %v, want a problem (A1)", answer, err)
		}
	}
}

func TestOddUntaggedRepliesLockNobodyOut(t *testing.T) {
	src, arrived := scripted(t, "S: * OK [FOO hello", "C: m1 CAPABILITY", "S: * XUNKNOWN (", "S: * CAPABILITY  IMAP4rev1 AUTH=PLAIN", "S: m1 OK",
		"C: m2 AUTHENTICATE PLAIN", "S: +", "C: ", "S: * LSUB (\\Foo ) \"\" R&D", "S: * OK [ALERT] literal? {5}", "S: m2 OK [CAPABILITY",
		"C: m3 EXAMINE INBOX", "S: * FLAGS (\\Seen  \\)", "S: * LIST () {9}", "S- m3 NO x\r\n tail\r\n", "S: * 00-Jan-0000", "S: * OK [PERMANENTFLAGS (]",
		"S: m3 OK", "C: m4 LOGOUT", "S: * BYE", "S: m4 OK")
	if err := verifyAt(t, src, canary); err != nil {
		t.Errorf("got %v, want proven; the client sent %q", err, arrived)
	}
}

func TestPasswordRepeatedByTheSourceIsInNoError(t *testing.T) {
	response := base64.StdEncoding.EncodeToString([]byte("\x00anna@example.org\x00" + canary))
	for _, answer := range []string{"NO no user with password " + canary, "BAD unknown command AUTHENTICATE PLAIN " + response, "NO Temporarily " + canary} {
		src, _ := scripted(t, append(greet, "S: * BYE "+canary, "S: m2 "+answer)...)
		err := verifyAt(t, src, canary)
		if err == nil || strings.Contains(err.Error(), canary) || strings.Contains(err.Error(), response) {
			t.Errorf("%q: got %v", answer, err)
		}
	}
}

func TestAnswersAreMadeFitForLogs(t *testing.T) {
	src, _ := scripted(t, append(greet, "S: m2 NO \x1b[31mno\xff\x07"+strings.Repeat("x", 5000))...)
	var wrong *WrongPassword
	if err := verifyAt(t, src, canary); !errors.As(err, &wrong) {
		t.Fatalf("got %v", err)
	}
	if strings.ContainsAny(wrong.Answer, "\x1b\x07") || !utf8.ValidString(wrong.Answer) || len(wrong.Answer) > maxAnswer+10 {
		t.Errorf("got %q", wrong.Answer)
	}
}

func TestSourceThatSaysTooMuchOrNothingIsLeft(t *testing.T) {
	flood := strings.Repeat("x", 1<<20)
	for name, script := range map[string][]string{
		"no greeting":      {"C: never"},
		"endless line":     {"S- * OK " + flood, "S- " + flood},
		"endless lines":    append(greet, "S- "+strings.Repeat("* OK and more\r\n", 100_000)),
		"huge literal":     append(greet, "S: * LIST () {999999}", "S- "+flood),
		"impossible size":  append(greet, "S: * LIST () {99999999999999999999}", "S: m2"),
		"greets with NO":   {"S: * NO go away"},
		"greets with BYE":  {"S: * BYE overloaded"},
		"greets PREAUTH":   {"S: * PREAUTH welcome, whoever you are"},
		"speaks SMTP":      {"S: 220 mail.example.org ESMTP"},
		"closes at once":   {"S- "},
		"asks for nothing": append(greet, "S: + ", "C: ", "S: + "),
	} {
		t.Run(name, func(t *testing.T) {
			src, _ := listen(t, func(conn net.Conn) {
				play(t, conn, script...)
			})
			began := time.Now()
			var problem *SourceProblem
			err := testVerifierQuick.Verify(t.Context(), src, "anna@example.org", secret.FromString(canary))
			if !errors.As(err, &problem) || problem.What == "" {
				t.Errorf("got %v, want a problem", err)
			}
			if strings.HasPrefix(name, "endless") && !errors.Is(err, errTooMuch) {
				t.Errorf("got %v, want %v", err, errTooMuch)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestDripEndsWithTheContextWithinItsDeadline(t *testing.T) {
	src, _ := listen(t, func(conn net.Conn) {
		for {
			if _, err := conn.Write([]byte("*")); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond) // the drip is what is tested
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	var problem *SourceProblem
	err := testVerifier.Verify(ctx, src, "anna@example.org", secret.FromString(canary))
	if !errors.As(err, &problem) || problem.Sent || !strings.Contains(problem.What, "did not answer in time") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestSourceThatDoesNotAnswerLogoutDelaysNobodyMuch(t *testing.T) {
	src, _ := scripted(t, append(greet, "S: m2 OK", "C: m3 EXAMINE INBOX", "S: m3 OK", "C: m4 LOGOUT")...)
	began := time.Now()
	if err := verifyAt(t, src, canary); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestNobodyListeningIsSaidInOneSentence(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	var problem *SourceProblem
	err = verifyAt(t, account.Source{Host: "127.0.0.1", Port: port, TLS: account.TLSNone}, canary)
	if !errors.As(err, &problem) || problem.Sent || !strings.HasPrefix(problem.What, "nobody listens at the source") || problem.Hint == "" {
		t.Errorf("got %v", err)
	}
	if err = verifyAt(t, account.Source{Host: "no-such-host.invalid", Port: 993, TLS: account.TLSImplicit}, canary); !errors.As(err, &problem) || problem.Sent {
		t.Errorf("got %v", err)
	}
}

func TestPrivateAddressesAreRefusedUnlessAllowed(t *testing.T) {
	src, arrived := scripted(t, "S: * OK hello")
	for _, host := range []string{"127.0.0.1", "localhost", "127.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "0"} {
		src.Host = host
		err := IMAPVerifier{}.Verify(t.Context(), src, "anna@example.org", secret.FromString(canary))
		var private *account.PrivateAddressError
		if err == nil || net.ParseIP(host) != nil && !errors.As(err, &private) {
			t.Errorf("%s: got %v, want a refusal of the address", host, err)
		}
	}
	if arrived.String() != "" {
		t.Errorf("sent %q", arrived)
	}
}

func TestRealDovecotProvesAndRefusesInAllModes(t *testing.T) {
	testbed.Need(t, "dovecot")
	lab := testbed.NewForTest(t)
	const password = "old: \"pass\" \\wörd{3}"
	source, err := lab.StartSource(testbed.SourceOptions{RawLog: true, Accounts: map[string]string{"anna@example.org": password}})
	if err != nil {
		t.Fatal(err)
	}
	for mode, address := range map[account.TLSMode]string{account.TLSNone: source.IMAPAddress,
		account.TLSStartTLS: source.IMAPAddress, account.TLSImplicit: source.IMAPSAddress} {
		src := sourceAt(t, address, mode)
		src.CAFile = lab.CAFile
		if err := verifyAt(t, src, password); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		var wrong *WrongPassword
		if err := verifyAt(t, src, password+"x"); !errors.As(err, &wrong) || !strings.Contains(wrong.Answer, "AUTHENTICATIONFAILED") {
			t.Errorf("%s: got %v, want a wrong password", mode, err)
		}
	}
}

func sourceAt(t *testing.T, address string, mode account.TLSMode) account.Source {
	t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return account.Source{Host: addr.IP.String(), Port: addr.Port, TLS: mode}
}
