package password

import (
	"context"
	"log/slog"
	"time"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"

	"odcm"
)

// Lengths of a password in characters: the least by NIST SP 800-63B section 5.1.1.2, the most so that hashing one is
// bounded.
const (
	minPassword = 8
	maxPassword = 256
)

// Breached knows passwords that were stolen somewhere and are tried first by whoever guesses.
type Breached interface {
	Contains(password string) (bool, error)
}

// Options are what a [Keeper] needs.
type Options struct {
	Failures FailureStore
	Breached Breached // no list if nil
	Logger   *slog.Logger
	Now      func() time.Time // in UTC and whole milliseconds, as it is stored
	Cores    int              // half of them hash passwords
}

// Keeper makes hashes of passwords and checks them.
type Keeper struct {
	Cost Cost // of new hashes

	failures FailureStore
	breached Breached
	log      *slog.Logger
	now      func() time.Time
	hashing  *hashing
}

// New makes a keeper whose hashes cost what is due today.
func New(o Options) *Keeper {
	return &Keeper{Cost: currentCost(), failures: o.Failures, breached: o.Breached, log: o.Logger, now: o.Now, hashing: newHashing(o.Cores)}
}

// Fits tells whether the password may be that of the user: odcm.Invalid where not.
func (k *Keeper) Fits(password string, username string) error {
	_, err := k.fit(password, username)
	return err
}

// fit returns the password as it is hashed.
func (k *Keeper) fit(password string, username string) (string, error) {
	invalid := func(format string, args ...any) (string, error) {
		return "", odcm.E(odcm.Invalid, "identity.password-invalid", format, args...).OnField("password")
	}
	n, ok := normalPassword(password)
	switch length := utf8.RuneCountInString(n); {
	case !ok:
		return invalid("The password holds characters that cannot be typed again, or is too long.")
	case length < minPassword:
		return invalid("The password has %d characters: use at least %d.", length, minPassword)
	case length > maxPassword:
		return invalid("The password has %d characters: use at most %d.", length, maxPassword)
	case n == username:
		return invalid("The password is the username: choose another.")
	case k.breached == nil:
		return n, nil
	}
	switch found, err := k.breached.Contains(n); {
	case err != nil: // a list that cannot be read keeps nobody from a new password
		k.log.Error("the list of breached passwords was not read", "error", err)
	case found:
		return invalid("The password is on a list of stolen ones, which are guessed first: choose another.")
	}
	return n, nil
}

// Hash checks that the password may be that of the user, and hashes it.
func (k *Keeper) Hash(ctx context.Context, password string, username string) (stored string, err error) {
	n, err := k.fit(password, username)
	if err != nil {
		return "", err
	}
	err = k.hashing.do(ctx, func() error {
		stored = makeHash(n, k.Cost).String()
		return nil
	})
	return stored, err
}

// Wrong is what is said to every sign-in that does not succeed, whatever is wrong with it.
func Wrong() error {
	return odcm.E(odcm.Unauthenticated, "identity.sign-in-failed", "The username or the password is not right.")
}

// Try is one use of a password.
type Try struct {
	Password string
	Stored   string // the hash; "" where there is none
	May      bool   // whether who has the password may sign in
	Gates    Gates
}

// Check does the same work for a user who does not exist, has no password or may not sign in as for any other: [Wrong] where
// the password is not right. It counts the try as failed at the gates: [Keeper.Clear] them after a success. Where the stored
// hash costs other than new ones, renewed is another of the same password.
func (k *Keeper) Check(ctx context.Context, t Try) (renewed string, err error) {
	h, err := parseHash(t.Stored)
	may := err == nil && t.May
	if err != nil {
		h = noHash(k.Cost)
	}
	password, ok := normalPassword(t.Password)
	err = k.hashing.do(ctx, func() error {
		if err := k.pass(ctx, t.Gates); err != nil {
			return err
		}
		if matches := h.matches(password); !matches || !ok || !may {
			return Wrong()
		}
		if h.Cost != k.Cost {
			renewed = makeHash(password, k.Cost).String()
		}
		return nil
	})
	return renewed, err
}

// normalPassword makes the same password typed on different keyboards the same bytes: the OpaqueString profile of
// RFC 8265 section 4.2. What the profile refuses is no password of anyone.
func normalPassword(s string) (string, bool) {
	if len(s) > 4*maxPassword {
		return "", false
	}
	n, err := precis.OpaqueString.String(s)
	return n, err == nil
}
