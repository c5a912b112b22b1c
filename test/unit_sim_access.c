/* SPDX-License-Identifier: MIT */
/*
 * Who may do what on a simulated node, compared with this kernel: each op, on
 * each owner and mode that make a difference, in a tree of
 *
 *   d       of owner and mode of the case, with d/f and d/s, a directory
 *   e       the user's, with e/x and e/t, a directory
 */
#include <grp.h>
#include <sys/stat.h>
#include "test/sim_scene.h"

#define USER	4001u
#define GROUP	4002u
#define OTHER	4003u

enum { MINE, MY_GROUPS, OTHERS, OWNERS };

static const struct {
	uint32_t uid, gid;
	unsigned shift;		/* of the permissions that count */
} owners[OWNERS] = {
	{ USER, OTHER, 6 }, { OTHER, GROUP, 3 }, { OTHER, OTHER, 0 },
};

struct tree {
	unsigned dir_owner, dir_mode, sticky, file_owner, file_mode;
};

enum { OPEN, MAKE_DIR, UNLINK, REMOVE_DIR, RENAME, SWAP, LINK, SYMLINK, STAT };

static const struct act {
	const char *name;
	int what;
	const char *path, *to;
	int flags;
} acts[] = {
	{ "read", OPEN, "d/f", NULL, O_RDONLY },
	{ "write", OPEN, "d/f", NULL, O_WRONLY },
	{ "both", OPEN, "d/f", NULL, O_RDWR },
	{ "truncate", OPEN, "d/f", NULL, O_RDONLY | O_TRUNC },
	{ "list", OPEN, "d", NULL, O_RDONLY | O_DIRECTORY },
	{ "file as directory", OPEN, "d/f", NULL, O_RDONLY | O_DIRECTORY },
	{ "write to a directory", OPEN, "d/s", NULL, O_WRONLY },
	{ "create", OPEN, "d/new", NULL, O_WRONLY | O_CREAT },
	{ "create what is there", OPEN, "d/f", NULL,
	  O_WRONLY | O_CREAT | O_EXCL },
	{ "below a file", OPEN, "d/f/x", NULL, O_RDONLY },
	{ "dot", OPEN, "d/.", NULL, O_RDONLY },
	{ "dot dot", OPEN, "d/../e/x", NULL, O_RDONLY },
	{ "below", OPEN, "d/s/none", NULL, O_RDONLY },
	{ "mkdir", MAKE_DIR, "d/new", NULL, 0 },
	{ "mkdir over", MAKE_DIR, "d/s", NULL, 0 },
	{ "unlink", UNLINK, "d/f", NULL, 0 },
	{ "unlink nothing", UNLINK, "d/new", NULL, 0 },
	{ "unlink a directory", UNLINK, "d/s", NULL, 0 },
	{ "rmdir", REMOVE_DIR, "d/s", NULL, 0 },
	{ "rmdir a file", REMOVE_DIR, "d/f", NULL, 0 },
	{ "rename", RENAME, "d/f", "d/new", 0 },
	{ "rename out", RENAME, "d/f", "e/new", 0 },
	{ "rename in", RENAME, "e/x", "d/new", 0 },
	{ "rename over", RENAME, "e/x", "d/f", 0 },
	{ "rename out over", RENAME, "d/f", "e/x", 0 },
	{ "rename over a directory", RENAME, "e/x", "d/s", 0 },
	{ "rename a directory", RENAME, "d/s", "d/new", 0 },
	{ "rename a directory out", RENAME, "d/s", "e/new", 0 },
	{ "rename to itself", RENAME, "d/f", "d/f", 0 },
	{ "exchange", SWAP, "d/f", "e/x", 0 },
	{ "exchange directories", SWAP, "d/s", "e/t", 0 },
	{ "link to", LINK, "e/x", "d/new", 0 },
	{ "link a directory", LINK, "e/t", "d/new", 0 },
	{ "symlink", SYMLINK, "d/new", "x", 0 },
	{ "stat", STAT, "d/f", NULL, 0 },
	{ "stat the directory", STAT, "d", NULL, 0 },
};

#define ACTS (sizeof(acts) / sizeof(*acts))

static unsigned mode_of(unsigned owner, unsigned mode)
{
	return mode << owners[owner].shift;
}

static const char *under(const char *root, const char *name)
{
	static char paths[4][512];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

/* --- this kernel --------------------------------------------------------- */

static void own(const char *path, unsigned owner, unsigned mode)
{
	harness_must(chown(path, owners[owner].uid, owners[owner].gid) == 0,
		     path);
	harness_must(chmod(path, mode) == 0, path);
}

static void make_real(const char *root, const char *name, int is_dir,
		      unsigned owner, unsigned mode)
{
	const char *path = under(root, name);
	int fd;

	if (is_dir) {
		harness_must(mkdir(path, 0700) == 0, path);
	} else {
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		harness_must(fd >= 0, path);
		close(fd);
	}
	own(path, owner, mode);
}

static void make_real_tree(const char *root, const struct tree *tree)
{
	unsigned mode = mode_of(tree->file_owner, tree->file_mode);

	harness_must(mkdir(root, 0755) == 0 && chmod(root, 0755) == 0, root);
	make_real(root, "d", 1, tree->dir_owner, 0);
	make_real(root, "d/f", 0, tree->file_owner, mode);
	make_real(root, "d/s", 1, tree->file_owner, mode);
	own(under(root, "d"), tree->dir_owner,
	    mode_of(tree->dir_owner, tree->dir_mode) |
		    (tree->sticky ? 01000 : 0));
	make_real(root, "e", 1, MINE, 0700);
	make_real(root, "e/x", 0, MINE, 0600);
	make_real(root, "e/t", 1, MINE, 0700);
}

static int call(const struct act *act, const char *path, const char *to)
{
	struct stat st;

	switch (act->what) {
	case OPEN:
		return open(path, act->flags | O_CLOEXEC, 0);
	case MAKE_DIR:
		return mkdir(path, 0755);
	case UNLINK:
		return unlink(path);
	case REMOVE_DIR:
		return rmdir(path);
	case RENAME:
	case SWAP:
		return renameat2(AT_FDCWD, path, AT_FDCWD, to,
				 act->what == SWAP ? RENAME_EXCHANGE : 0);
	case LINK:
		return linkat(AT_FDCWD, path, AT_FDCWD, to, 0);
	case SYMLINK:
		return symlink(act->to, path);
	default:
		return stat(path, &st);
	}
}

/* What is refused changes nothing: the tree stays for the next one. */
static int on_kernel(const char *root, const struct tree *tree,
		     const struct act *act)
{
	struct stat is;
	int rc;

	if (stat(root, &is) != 0)
		make_real_tree(root, tree);
	harness_must(setegid(GROUP) == 0 && seteuid(USER) == 0, "seteuid");
	rc = call(act, under(root, act->path), under(root, act->to ? act->to
								  : ""));
	rc = rc < 0 ? -errno : rc;
	harness_must(seteuid(0) == 0 && setegid(0) == 0, "seteuid");
	if (rc > 0)
		close(rc);
	if (rc >= 0)
		harness_remove_tree(root);
	return rc < 0 ? rc : 0;
}

/* --- the simulation ------------------------------------------------------ */

static void make_simulated(const char *path, int is_dir, unsigned owner,
			   unsigned mode)
{
	ck_result(is_dir ? peal_sim_make_dir(node, path)
			 : peal_sim_put_file(node, path, "", 0), 0);
	ck_result(peal_sim_chown(node, path, owners[owner].uid,
				 owners[owner].gid), 0);
	ck_result(peal_sim_chmod(node, path, mode), 0);
}

static void make_simulated_tree(const char *root, const struct tree *tree)
{
	unsigned mode = mode_of(tree->file_owner, tree->file_mode);

	ck_result(peal_sim_make_dir(node, root), 0);
	make_simulated(under(root, "d"), 1, tree->dir_owner,
		       mode_of(tree->dir_owner, tree->dir_mode) |
			       (tree->sticky ? 01000 : 0));
	make_simulated(under(root, "d/f"), 0, tree->file_owner, mode);
	make_simulated(under(root, "d/s"), 1, tree->file_owner, mode);
	make_simulated(under(root, "e"), 1, MINE, 0700);
	make_simulated(under(root, "e/x"), 0, MINE, 0600);
	make_simulated(under(root, "e/t"), 1, MINE, 0700);
}

static peal_op start(const struct act *act, const char *path, const char *to)
{
	static struct peal_stat st;

	switch (act->what) {
	case OPEN:
		return peal_open(ring, PEAL_CWD, path, act->flags, 0, 0,
				 on_done, NULL);
	case MAKE_DIR:
		return peal_mkdir(ring, PEAL_CWD, path, 0755, 0, on_done,
				  NULL);
	case UNLINK:
	case REMOVE_DIR:
		return peal_unlink(ring, PEAL_CWD, path,
				   act->what == UNLINK ? 0 : PEAL_REMOVE_DIR,
				   0, on_done, NULL);
	case RENAME:
	case SWAP:
		return peal_rename(ring, PEAL_CWD, path, PEAL_CWD, to,
				   act->what == SWAP ? RENAME_EXCHANGE : 0, 0,
				   on_done, NULL);
	case LINK:
		return peal_link(ring, PEAL_CWD, path, PEAL_CWD, to, 0, 0,
				 on_done, NULL);
	case SYMLINK:
		return peal_symlink(ring, act->to, PEAL_CWD, path, 0, on_done,
				    NULL);
	default:
		return peal_stat(ring, PEAL_CWD, path, 0, PEAL_STAT_BASIC, &st,
				 0, on_done, NULL);
	}
}

static int64_t simulated(const char *root, const struct tree *tree,
			 const struct act *act)
{
	int64_t rc;

	make_simulated_tree(root, tree);
	peal_sim_user(node, USER, GROUP);
	rc = finish(start(act, under(root, act->path),
			  under(root, act->to ? act->to : "")));
	peal_sim_user(node, 0, 0);
	forget_outcomes();
	if (rc > 0)
		peal_sim_close_fd(node, (peal_fd)rc);
	return rc < 0 ? rc : 0;
}

/* --- both ---------------------------------------------------------------- */

static void compare(const struct tree *tree)
{
	char name[32];
	unsigned i;

	begin(1);
	for (i = 0; i < ACTS; i++) {
		int real = on_kernel("tree", tree, &acts[i]);
		int64_t rc;

		snprintf(name, sizeof(name), "/%u", i);
		rc = simulated(name, tree, &acts[i]);
		ck_assert_msg(rc == real, "%s: d of %u, mode %o%s; f, s of %u,"
			      " mode %o: %s simulated, %s here", acts[i].name,
			      tree->dir_owner, tree->dir_mode,
			      tree->sticky ? ", sticky" : "", tree->file_owner,
			      tree->file_mode, peal_strerror((int)rc),
			      peal_strerror(real));
	}
	harness_remove_tree("tree");
	end();
}

static void compare_trees(unsigned dir_owner)
{
	struct tree tree = { .dir_owner = dir_owner };
	unsigned i;

	/* Nor can the root of a namespace that has no other users. */
	if (geteuid() != 0 || setgroups(0, NULL) != 0)
		SKIP("only root can be another user");
	/* The user may not be allowed to search what is above; here, whatever
	 * the umask is. */
	harness_must(chdir(path_in_dir(".")) == 0, "chdir");
	harness_must(chmod(".", 0755) == 0, "chmod");
	for (i = 0; i < 8 * 2 * OWNERS; i++) {
		tree.dir_mode = i % 8;
		tree.sticky = i / 8 % 2;
		tree.file_owner = i / 16;
		tree.file_mode = (i + i / 8 + i / 16) % 4 * 2;
		compare(&tree);
	}
}

BARE_TEST(names_in_a_directory_of_mine_are_as_free_as_on_this_kernel)
{
	compare_trees(MINE);
}

BARE_TEST(names_in_a_directory_of_my_group_are_as_free_as_on_this_kernel)
{
	compare_trees(MY_GROUPS);
}

BARE_TEST(names_in_a_directory_of_others_are_as_free_as_on_this_kernel)
{
	compare_trees(OTHERS);
}

/* --- what has no twin here ----------------------------------------------- */

BARE_TEST(what_a_user_makes_is_the_users)
{
	struct peal_stat st;
	int fd;

	begin(1);
	peal_sim_chmod(node, "/", 0777);
	peal_sim_user(node, USER, GROUP);
	fd = open_file("/f", O_RDWR | O_CREAT);
	ck_result(finish(peal_mkdir(ring, PEAL_CWD, "/d", 0700, 0, on_done,
				    NULL)), 0);
	ck_result(write_at(fd, "data", 4, 0), 4);
	ck_result(finish(peal_stat(ring, PEAL_CWD, "/d", 0, PEAL_STAT_BASIC,
				   &st, 0, on_done, NULL)), 0);
	ck_assert_uint_eq(st.uid, USER);
	ck_assert_uint_eq(st.gid, GROUP);
	peal_sim_user(node, OTHER, OTHER);
	ck_result(finish(peal_mkdir(ring, PEAL_CWD, "/d/sub", 0700, 0, on_done,
				    NULL)), -EACCES);
	ck_result(write_at(fd, "more", 4, 0), 4);
	end();
}

BARE_TEST(what_is_done_from_outside_is_roots)
{
	struct peal_stat st;

	begin(1);
	peal_sim_user(node, USER, GROUP);
	ck_result(peal_sim_put_file(node, "/f", "data", 4), 0);
	ck_result(finish(peal_stat(ring, PEAL_CWD, "/f", 0, PEAL_STAT_BASIC,
				   &st, 0, on_done, NULL)), 0);
	ck_assert_uint_eq(st.uid, 0);
	ck_result(peal_sim_chmod(node, "/none", 0), -ENOENT);
	ck_result(peal_sim_chown(node, "/f/x", 1, 1), -ENOTDIR);
	end();
}

static int64_t bind_port(uint16_t port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_port = htons(port) };
	int fd = (int)finish(peal_socket(ring, AF_INET, SOCK_STREAM, 0, 0,
					 on_done, NULL));

	return finish(peal_bind(ring, fd, (void *)&addr, sizeof(addr), 0,
				on_done, NULL));
}

BARE_TEST(low_ports_are_roots)
{
	begin(1);
	ck_result(bind_port(80), 0);
	peal_sim_user(node, USER, GROUP);
	ck_result(bind_port(81), -EACCES);
	ck_result(bind_port(1023), -EACCES);
	ck_result(bind_port(1024), 0);
	ck_result(bind_port(0), 0);
	end();
}

BARE_TEST(connecting_to_a_socket_is_writing_to_it)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX,
				    .sun_path = "/socket" };
	int listener, fd;

	begin(1);
	listener = (int)finish(peal_socket(ring, AF_UNIX, SOCK_STREAM, 0, 0,
					   on_done, NULL));
	ck_result(finish(peal_bind(ring, listener, (void *)&addr, sizeof(addr),
				   0, on_done, NULL)), 0);
	ck_result(finish(peal_listen(ring, listener, 4, 0, on_done, NULL)), 0);
	peal_sim_user(node, USER, GROUP);
	fd = (int)finish(peal_socket(ring, AF_UNIX, SOCK_STREAM, 0, 0, on_done,
				     NULL));
	ck_result(finish(peal_connect(ring, fd, (void *)&addr, sizeof(addr), 0,
				      on_done, NULL)), -EACCES);
	peal_sim_chmod(node, "/socket", 0666);
	ck_result(finish(peal_connect(ring, fd, (void *)&addr, sizeof(addr), 0,
				      on_done, NULL)), 0);
	end();
}

SUITE("sim_access")
