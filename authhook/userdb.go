package authhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"mailstork/daemon/account"
)

// UserdbPath is where checkpassword asks for the place of an account's mail (Dovecot itself reads the userdb file).
const UserdbPath = "/userdb"

// serveUserdb answers {"uid","gid","home"} for an account that is known here, 404 for one that is not.
func (h *Hook) serveUserdb(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyOctets))
	defer clear(body)
	if err != nil {
		h.turnAway(r.Context(), w, fmt.Errorf("reading a request to the auth hook: %w", err))
		return
	}
	values, err := decodeForm(body, "username", "client_secret")
	if err != nil {
		h.turnAway(r.Context(), w, fmt.Errorf("reading a request to the auth hook: %w", err))
		return
	}
	if !h.isClient(values["client_secret"]) {
		h.turnAway(r.Context(), w, errStranger)
		return
	}
	address, err := account.ParseAddress(string(values["username"]))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	_, member, err := h.provisioner.Standing(r.Context(), address)
	switch {
	case err != nil:
		h.turnAway(r.Context(), w, errors.Join(errors.New("looking for an account"), err))
	case member.ID == 0:
		http.NotFound(w, r)
	default:
		uid, gid, home := h.provisioner.Userdb(address)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"uid": strconv.Itoa(uid), "gid": strconv.Itoa(gid), "home": home}) // the client went away: nobody to tell
	}
}
