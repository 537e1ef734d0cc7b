package ldap

import (
	"context"

	"github.com/go-ldap/ldap/v3"

	"odcm/manager/identity/ldap/pool"
	"odcm/manager/identity/provider"
)

// Subjects reads everybody, page by page.
func Subjects(ctx context.Context, s provider.Source) (subjects []string, err error) {
	d := s.(*active).directory
	err = d.Use(ctx, func(c *pool.Conn) error {
		return d.searchAll(c, d.schema.people, []string{d.schema.id}, 100_000, func(e *ldap.Entry) { subjects = append(subjects, d.idOf(e)) })
	})
	return subjects, err
}
