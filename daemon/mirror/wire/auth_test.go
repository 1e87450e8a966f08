package wire_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"mailstork/daemon/mirror/wire"
	"mailstork/daemon/mirror/wire/wiretest"
	"mailstork/daemon/secret"
)

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// try logs in to a script and returns what was sent and what the trace saw.
func try(t *testing.T, s wiretest.Script, l wire.Login) (lines []string, trace string, err error) {
	t.Helper()
	srv := wiretest.Start(t, s)
	var said strings.Builder
	conn, err := wire.Dial(ctx(t), wire.Options{Address: srv.Address, ReadOnly: true, Trace: func(_ bool, line string) { said.WriteString(line + "\n") }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	err = conn.Login(ctx(t), l)
	return srv.Lines(), fmt.Sprint(said.String(), err, conn.Oddities()), err
}

func TestAuthenticateLoginIsUsedWhenNothingElseIsOffered(t *testing.T) {
	pw := "canary ü\"\\"
	s := wiretest.Script{Capabilities: "AUTH=LOGIN LOGINDISABLED", Replies: map[string]string{
		"AUTHENTICATE LOGIN":                                "+ VXNlcm5hbWU6\r\n",
		"AUTHENTICATE LOGIN " + b64("anna"):                 "+ UGFzc3dvcmQ6\r\n",
		"AUTHENTICATE LOGIN " + b64("anna") + " " + b64(pw): "TAG OK in\r\n",
	}}
	lines, trace, err := try(t, s, wire.Login{User: "anna", Password: secret.FromString(pw)})
	if err != nil || !slices.Contains(lines, "AUTHENTICATE LOGIN "+b64("anna")+" "+b64(pw)) {
		t.Errorf("got %v after %q", err, lines)
	}
	if strings.Contains(trace, "canary") || strings.Contains(trace, b64(pw)) {
		t.Errorf("the trace shows the password: %q", trace)
	}
	s.Replies["AUTHENTICATE LOGIN"] = "TAG NO not now\r\n"
	var le *wire.LoginError
	if _, _, err = try(t, s, wire.Login{User: "anna", Password: secret.FromString(pw)}); !errors.As(err, &le) || !le.Refused {
		t.Errorf("refused at once: got %v", err)
	}
}

// A server that quotes a command that it did not understand quotes the credential.
func TestACredentialQuotedInBase64IsMasked(t *testing.T) {
	coded := b64("\x00annas\x00canary-1") // of a length that hides the password's own base64
	_, trace, err := try(t, wiretest.Script{Capabilities: "AUTH=PLAIN SASL-IR LOGINDISABLED", Replies: map[string]string{
		"AUTHENTICATE": "TAG BAD unknown command AUTHENTICATE PLAIN " + coded + "\r\n",
	}}, wire.Login{User: "annas", Password: secret.FromString("canary-1")})
	if err == nil || strings.Contains(trace, coded) || strings.Contains(trace, "canary") {
		t.Errorf("got %q", trace)
	}
}

func TestSunOneMasterUserBecomesTheAccount(t *testing.T) {
	l := wire.Login{User: "admin", Password: secret.FromString("x"), Mechanism: wire.ProxyAuth, Become: "anna"}
	lines, _, err := try(t, wiretest.Script{Capabilities: "AUTH=PLAIN SASL-IR", Replies: map[string]string{"PROXYAUTH": "TAG OK\r\n"}}, l)
	if err != nil || !slices.Contains(lines, `PROXYAUTH "anna"`) {
		t.Errorf("got %v after %q", err, lines)
	}
	var le *wire.LoginError
	if _, _, err = try(t, wiretest.Script{Replies: map[string]string{"PROXYAUTH": "TAG NO nobody\r\n"}}, l); !errors.As(err, &le) || !le.Refused {
		t.Errorf("an account that is not there: %v", err)
	}
}

func TestKerioMasterAnswersTheChallenge(t *testing.T) {
	const want = "f47171cf3f0ab86838a5db187c51ceb2" // md5("<42@kerio>masterpw"), by md5sum
	l := wire.Login{User: "ignored", Password: secret.FromString("masterpw"), Mechanism: wire.XMasterAuth, Become: "anna@example.org"}
	lines, trace, err := try(t, wiretest.Script{Replies: map[string]string{
		"X-MASTERAUTH": "+ <42@kerio>\r\n", "X-MASTERAUTH " + want: "TAG OK\r\n", "X-SETUSER": "TAG OK\r\n",
	}}, l)
	if err != nil || !slices.Contains(lines, "X-MASTERAUTH "+want) || !slices.Contains(lines, `X-SETUSER "anna@example.org"`) {
		t.Errorf("got %v after %q", err, lines)
	}
	if strings.Contains(trace, want) {
		t.Errorf("the trace shows the response: %q", trace)
	}
}

// tokens hands out its list, one more after every refusal.
type tokens struct {
	list    []string
	refused []string
}

func (s *tokens) Token(context.Context) (secret.Secret, time.Time, error) {
	if len(s.refused) >= len(s.list) {
		return secret.Secret{}, time.Time{}, &wire.TokenError{Refused: true, Sentence: "no token is left"}
	}
	return secret.FromString(s.list[len(s.refused)]), time.Now().Add(time.Hour), nil
}

func (s *tokens) Refused(token secret.Secret) { s.refused = append(s.refused, string(token.Reveal())) }

func TestATokenIsShownAsItsMechanismWantsIt(t *testing.T) {
	xoauth := b64("user=anna@x.example\x01auth=Bearer canary-t1\x01\x01")
	for _, c := range []struct{ name, capabilities, want string }{
		{"XOAUTH2 in one line", "AUTH=XOAUTH2 SASL-IR", "AUTHENTICATE XOAUTH2 " + xoauth},
		{"XOAUTH2 asked for", "AUTH=XOAUTH2", "AUTHENTICATE XOAUTH2 " + xoauth},
		{"OAUTHBEARER first", "AUTH=XOAUTH2 AUTH=OAUTHBEARER SASL-IR", "AUTHENTICATE OAUTHBEARER "},
	} {
		lines, trace, err := try(t, wiretest.Script{Capabilities: c.capabilities, Replies: map[string]string{
			"AUTHENTICATE XOAUTH2": "+ \r\n", "AUTHENTICATE XOAUTH2 ": "TAG OK in\r\n", "AUTHENTICATE OAUTHBEARER ": "TAG OK in\r\n",
		}}, wire.Login{User: "anna@x.example", Tokens: &tokens{list: []string{"canary-t1"}}})
		if err != nil || !strings.HasPrefix(lines[1], c.want) {
			t.Errorf("%s: %v after %q", c.name, err, lines)
		}
		if coded, ok := strings.CutPrefix(lines[1], "AUTHENTICATE OAUTHBEARER "); ok {
			msg, _ := base64.StdEncoding.DecodeString(coded)
			if !strings.HasPrefix(string(msg), "n,a=anna@x.example,\x01host=127.0.0.1\x01port=") || !strings.HasSuffix(string(msg), "\x01auth=Bearer canary-t1\x01\x01") {
				t.Errorf("RFC 7628 §3.1: sent %q", msg)
			}
		}
		if strings.Contains(trace, "canary") || strings.Contains(trace, xoauth) {
			t.Errorf("%s: the trace shows the token: %q", c.name, trace)
		}
	}
}

// RFC 7628 §3.2.3: the complaint is answered with one 0x01, that of XOAUTH2 with an
// empty line; then a new token is tried, once.
func TestARefusedTokenIsReplacedOnceAndThenReported(t *testing.T) {
	complaint := b64(`{"status":"401","schemes":"bearer","scope":"mail canary-t2"}`)
	for mechanism, answer := range map[string]string{"OAUTHBEARER": "AQ==", "XOAUTH2": ""} {
		good := func(line string) bool { return strings.Contains(decoded(line), "canary-t2") }
		script := wiretest.Script{Capabilities: "SASL-IR AUTH=" + mechanism, Answer: func(line string) (string, bool) {
			switch {
			case !strings.HasPrefix(line, "AUTHENTICATE"):
				return "", false
			case good(line):
				return "TAG OK in\r\n", true
			case strings.Count(line, " ") == 3 && strings.HasSuffix(line, " "+answer):
				return "TAG NO [AUTHENTICATIONFAILED] no\r\n", true
			}
			return "+ " + complaint + "\r\n", true
		}}
		source := &tokens{list: []string{"canary-t1", "canary-t2"}}
		if lines, _, err := try(t, script, wire.Login{User: "anna", Tokens: source}); err != nil || len(source.refused) != 1 {
			t.Errorf("%s: %v, %d refused, after %q", mechanism, err, len(source.refused), lines)
		}
		good = func(string) bool { return false }
		source = &tokens{list: []string{"canary-t1", "canary-t2", "canary-t3"}}
		lines, trace, err := try(t, script, wire.Login{User: "anna", Tokens: source})
		var le *wire.LoginError
		var te *wire.TokenError
		if !errors.As(err, &le) || !le.Refused || !errors.As(err, &te) || len(source.refused) != 2 || len(lines) != 3 ||
			!strings.Contains(te.Sentence, `status "401"`) || !strings.Contains(te.Sentence, `scope "mail ***"`) {
			t.Errorf("%s: refused twice: %v, %d refused, after %q", mechanism, err, len(source.refused), lines)
		}
		if strings.Contains(trace, "canary") {
			t.Errorf("%s: a token is shown: %q", mechanism, trace)
		}
	}
}

func decoded(line string) string {
	words := strings.Split(line, " ")
	if len(words) < 3 {
		return ""
	}
	text, _ := base64.StdEncoding.DecodeString(words[2])
	return string(text)
}

func TestAServerWithoutOAuthIsShownNoToken(t *testing.T) {
	lines, _, err := try(t, wiretest.Script{Capabilities: "AUTH=PLAIN"}, wire.Login{User: "anna", Tokens: &tokens{list: []string{"t"}}})
	var le *wire.LoginError
	if !errors.As(err, &le) || le.Refused || len(lines) != 1 || !strings.Contains(err.Error(), "no OAuth2 token") {
		t.Errorf("got %v after %q", err, lines)
	}
}

func TestIDIsSentOnlyWhereOfferedAndNeverFailsALogin(t *testing.T) {
	for _, c := range []struct{ name, capabilities, reply, want string }{
		{"not offered", "", "", ""},
		{"answered", "ID", "* ID (\"support-url\" \"http://x\" \"version\" \"2.3\" \"name\" \"Dove\\\"cot\" \"os\" NIL)\r\nTAG OK\r\n", `Dove"cot 2.3 support-url=http://x`},
		{"NIL", "ID", "* ID NIL\r\nTAG OK\r\n", ""},
		{"odd", "ID", "* ID (\"name\" (a b) \"x\"\r\nTAG OK\r\n", ""},
		{"refused", "ID", "TAG BAD what\r\n", ""},
	} {
		srv := wiretest.Start(t, wiretest.Script{Capabilities: c.capabilities, Replies: map[string]string{"ID": c.reply, "LIST": "* LIST () \"/\" INBOX\r\nTAG OK\r\n", "STATUS": "TAG OK\r\n"}})
		conn, err := wire.Dial(ctx(t), wire.Options{Address: srv.Address, ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		err = conn.Login(ctx(t), wire.Login{User: "anna", Password: secret.FromString("x")})
		if err == nil {
			_, err = conn.Open(ctx(t), "INBOX", true)
		}
		sent := slices.ContainsFunc(srv.Lines(), func(l string) bool { return strings.HasPrefix(l, "ID ") })
		if err != nil || sent != (c.capabilities == "ID") || conn.ServerID() != c.want {
			t.Errorf("%s: %v, %q after %q", c.name, err, conn.ServerID(), srv.Lines())
		}
		_ = conn.Close()
	}
}
