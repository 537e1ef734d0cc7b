package ldap

import (
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"odcm/manager/identity/ldap/pool"
	"odcm/manager/identity/person"
)

// Bounds of a walk through nested groups. Beyond them the groups are not known.
const (
	maxDepth  = 64
	maxGroups = 5000 // one person's; Windows itself stops at 1,015
	maxWalked = 50_000
	perFilter = 50 // alternatives in one filter
)

// chainRule walks nested groups at the server ([MS-ADTS] section 3.1.1.3.4.4.3).
const chainRule = ":1.2.840.113556.1.4.1941:"

const activeGroups = "(objectClass=group)"

// node is a group that was met on the way.
type node struct {
	person.ExternalGroup
	counts  bool     // below the search base, and the filter takes it; through others the walk goes on
	walked  bool     // its parents are known
	parents []string // keys of the groups that it is in
}

// walk is one reading of groups: what it has met it does not ask for again.
type walk struct {
	s     *settings
	c     *pool.Conn
	nodes map[string]*node  // by key; nil where there is no such group, or none that may be read
	sids  map[string]string // key by SID
}

func newWalk(s *settings, c *pool.Conn) *walk {
	return &walk{s: s, c: c, nodes: map[string]*node{}, sids: map[string]string{}}
}

// key is the form in which distinguished names are compared: without regard to case and to spaces between their parts.
func key(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return strings.ToLower(dn)
	}
	return strings.ToLower(parsed.String())
}

// of returns the groups of each account, nested ones flattened. An account whose groups are not known is not in it.
func (w *walk) of(accounts []account) (map[string][]person.ExternalGroup, error) {
	starts := make(map[string][]string, len(accounts))
	level := map[string]bool{}
	for _, a := range accounts {
		keys, known, err := w.direct(a)
		if err != nil {
			return nil, err
		}
		if known {
			starts[a.subject] = keys
		}
		for _, k := range keys {
			level[k] = true
		}
	}
	groups := make(map[string][]person.ExternalGroup, len(accounts))
	complete, err := w.climb(slices.Collect(maps.Keys(level)))
	if err != nil || !complete {
		return groups, err
	}
	for subject, keys := range starts {
		if found := w.flatten(keys); len(found) <= maxGroups {
			groups[subject] = found
		}
	}
	return groups, nil
}

// direct returns the keys of the groups that the account itself is in.
func (w *walk) direct(a account) (keys []string, known bool, err error) {
	if w.s.schema.memberOf == "" {
		keys, err = w.containing(a.DN, a.GetEqualFoldAttributeValue(w.s.schema.username))
		return keys, err == nil, err
	}
	keys, known = w.values(a.Entry)
	if w.s.schema.active && known {
		var primary string
		if primary, err = w.primary(a); primary != "" {
			keys = append(keys, primary)
		}
	}
	return keys, known, err
}

// values reads the attribute that names an entry's groups. Active Directory gives long lists in pieces, of which only the
// first came ("memberOf;range=0-1499", [MS-ADTS] section 3.1.1.3.1.3.3): too many groups to be read right.
func (w *walk) values(e *ldap.Entry) (keys []string, whole bool) {
	for _, attribute := range e.Attributes {
		name, option, _ := strings.Cut(attribute.Name, ";")
		if !strings.EqualFold(name, w.s.schema.memberOf) {
			continue
		}
		if strings.HasPrefix(strings.ToLower(option), "range=") {
			return nil, false
		}
		for _, dn := range attribute.Values {
			keys = append(keys, key(dn))
		}
	}
	return keys, true
}

// primary is the group that an account names by the end of its SID, in most domains Domain Users: no list of members has it.
func (w *walk) primary(a account) (string, error) {
	rid, err := strconv.ParseUint(a.GetEqualFoldAttributeValue(attrPrimary), 10, 32)
	if err != nil || len(a.sid) < 12 {
		return "", nil
	}
	sid := string(binary.LittleEndian.AppendUint32(slices.Clone(a.sid[:len(a.sid)-4]), uint32(rid)))
	k, asked := w.sids[sid]
	if !asked {
		found, err := w.fetchActive(bytesFilter(attrSID, []byte(sid)), 1)
		if err != nil {
			return "", err
		}
		if len(found) == 1 {
			k = found[0]
		}
		w.sids[sid] = k
	}
	return k, nil
}

func (w *walk) groupAttributes() []string {
	list := []string{w.s.schema.id, w.s.schema.groupName}
	if w.s.schema.memberOf != "" {
		list = append(list, w.s.schema.memberOf)
	}
	return list
}

// met notes a group that was read.
func (w *walk) met(e *ldap.Entry, counts bool) string {
	k := key(e.DN)
	if w.nodes[k] == nil {
		n := &node{ExternalGroup: w.s.group(e), counts: counts}
		if w.s.schema.memberOf != "" {
			n.parents, _ = w.values(e)
		}
		w.nodes[k] = n
	}
	return k
}

func (s *settings) group(e *ldap.Entry) person.ExternalGroup {
	id := s.idOf(e)
	return person.ExternalGroup{ID: id, Name: first(e.GetEqualFoldAttributeValue(s.schema.groupName), id)}
}

// climb reads the groups, the groups that they are in, and so on. It tells whether it reached the end.
func (w *walk) climb(level []string) (complete bool, err error) {
	for depth := 0; len(level) > 0; depth++ {
		if depth == maxDepth || len(w.nodes) > maxWalked {
			return false, nil
		}
		if level, err = w.step(level); err != nil {
			return false, err
		}
		if w.s.nested == direct {
			break
		}
	}
	return true, nil
}

// step reads the groups of one level and returns the next one: what was met before is not walked again, so cycles end.
func (w *walk) step(level []string) (next []string, err error) {
	fresh := slices.DeleteFunc(slices.Clone(level), func(k string) bool { _, met := w.nodes[k]; return met })
	for chunk := range slices.Chunk(fresh, perFilter) {
		if err := w.fetch(chunk); err != nil {
			return nil, err
		}
		for _, k := range chunk {
			if _, met := w.nodes[k]; !met {
				w.nodes[k] = nil
			}
		}
	}
	for _, k := range level {
		n := w.nodes[k]
		if n == nil || n.walked {
			continue
		}
		n.walked = true
		if w.s.schema.memberOf == "" && w.s.nested != direct {
			if n.parents, err = w.containing(k, ""); err != nil {
				return nil, err
			}
		}
		for _, p := range n.parents {
			if m, met := w.nodes[p]; !met || m != nil && !m.walked {
				next = append(next, p)
			}
		}
	}
	slices.Sort(next)
	return slices.Compact(next), nil
}

// fetch reads groups by their distinguished names: many at once where the directory keeps the name as an attribute.
func (w *walk) fetch(keys []string) error {
	if w.s.schema.active {
		var alternatives strings.Builder
		for _, k := range keys {
			alternatives.WriteString("(distinguishedName=" + ldap.EscapeFilter(k) + ")")
		}
		_, err := w.fetchActive(alternatives.String(), len(keys))
		return err
	}
	for _, k := range keys {
		e, err := w.c.At(k, w.s.schema.groups, w.groupAttributes()...)
		if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
			continue
		}
		if err != nil {
			return err
		}
		if e != nil {
			w.nodes[k] = w.nodes[w.met(e, true)]
		}
	}
	return nil
}

// fetchActive reads groups wherever they are in the domain, and then which of them count: as when the server walks, the way
// may lead through groups that do not.
func (w *walk) fetchActive(alternatives string, limit int) (keys []string, err error) {
	root, err := w.c.Domain()
	if err != nil {
		return nil, err
	}
	narrow := w.s.base != "" || w.s.schema.groups != activeGroups
	found, err := w.c.Below(root, "(&"+activeGroups+"(|"+alternatives+"))", w.groupAttributes(), limit)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		keys = append(keys, w.met(e, !narrow))
	}
	if !narrow || len(keys) == 0 {
		return keys, nil
	}
	counting, err := w.s.search(w.c, "(&"+w.s.schema.groups+"(|"+alternatives+"))", []string{"1.1"}, limit)
	for _, e := range counting {
		if n := w.nodes[key(e.DN)]; n != nil {
			n.counts = true
		}
	}
	return keys, err
}

// containing searches the groups that have the entry as a member, by its name or, for an account of POSIX groups (RFC 2307),
// by its username.
func (w *walk) containing(dn, username string) ([]string, error) {
	var filter string
	switch member := w.s.schema.member; {
	case strings.EqualFold(member, "memberUid"):
		if username == "" {
			return nil, nil // such groups hold no groups
		}
		filter = "(memberUid=" + ldap.EscapeFilter(username) + ")"
	case strings.EqualFold(member, "member"): // groupOfUniqueNames has the other
		filter = "(|(member=" + ldap.EscapeFilter(dn) + ")(uniqueMember=" + ldap.EscapeFilter(dn) + "))"
	default:
		filter = "(" + member + "=" + ldap.EscapeFilter(dn) + ")"
	}
	var keys []string
	err := w.s.searchAll(w.c, "(&"+w.s.schema.groups+filter+")", w.groupAttributes(), maxGroups, func(e *ldap.Entry) { keys = append(keys, w.met(e, true)) })
	return keys, err
}

// flatten lists the groups that can be reached, each once.
func (w *walk) flatten(level []string) []person.ExternalGroup {
	seen := map[string]bool{}
	list := []person.ExternalGroup{}
	for len(level) > 0 {
		var next []string
		for _, k := range level {
			n := w.nodes[k]
			if n == nil || seen[k] {
				continue
			}
			seen[k] = true
			if n.counts && n.ID != "" {
				list = append(list, n.ExternalGroup)
			}
			if w.s.nested != direct {
				next = append(next, n.parents...)
			}
		}
		level = next
	}
	return sorted(list)
}

func sorted(list []person.ExternalGroup) []person.ExternalGroup {
	slices.SortFunc(list, func(a, b person.ExternalGroup) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(list, func(a, b person.ExternalGroup) bool { return a.ID == b.ID })
}

// groupsOf returns one account's groups, and whether they are known.
func (s *settings) groupsOf(c *pool.Conn, a account) ([]person.ExternalGroup, bool, error) {
	w := newWalk(s, c)
	if s.schema.active && s.nested == inChain {
		groups, err := w.chain(a)
		if err == nil || pool.IsSilent(err) {
			return groups, err == nil, err
		} // else the server does not walk, or not for so long
	}
	groups, err := w.of([]account{a})
	found, known := groups[a.subject]
	return found, known, err
}

// chain lets the server walk: from the account, and from its primary group, which is a list's member nowhere.
func (w *walk) chain(a account) ([]person.ExternalGroup, error) {
	primary, err := w.primary(a)
	if err != nil {
		return nil, err
	}
	filter := "(member" + chainRule + "=" + ldap.EscapeFilter(a.DN) + ")"
	list := []person.ExternalGroup{}
	if primary != "" {
		filter = "(|" + filter + "(member" + chainRule + "=" + ldap.EscapeFilter(primary) + "))"
		if n := w.nodes[primary]; n.counts {
			list = append(list, n.ExternalGroup)
		}
	}
	err = w.s.searchAll(w.c, "(&"+w.s.schema.groups+filter+")", w.groupAttributes(), maxGroups, func(e *ldap.Entry) {
		if g := w.s.group(e); g.ID != "" {
			list = append(list, g)
		}
	})
	if err != nil {
		return nil, err
	}
	return sorted(list), nil
}
