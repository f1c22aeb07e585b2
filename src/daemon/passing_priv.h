/* SPDX-License-Identifier: MIT */
#ifndef UZ_PASSING_PRIV_H
#define UZ_PASSING_PRIV_H

#include <string.h>
#include <sys/socket.h>

/* Room for one descriptor beside the bytes of a message. */
union uz__passing {
	struct cmsghdr hdr;
	char room[CMSG_SPACE(sizeof(int))];
};

/* Has @msg take @fd along. @p is all zero, and stays until it is sent. */
static inline void uz__pass(struct msghdr *msg, union uz__passing *p, int fd)
{
	msg->msg_control = p->room;
	msg->msg_controllen = sizeof(p->room);
	p->hdr.cmsg_level = SOL_SOCKET;
	p->hdr.cmsg_type = SCM_RIGHTS;
	p->hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&p->hdr), &fd, sizeof(fd));
}

#endif
