//! What a container is kept from.

use crate::world::{self, run, sh, shell, start};
use cri::{ContainerConfig, Device, Mount, Propagation, Runtime, SandboxConfig, Seccomp};
use std::path::Path;

pub fn filtered() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("five")).await.unwrap();
        let with = |seccomp, script: &str| ContainerConfig { seccomp, ..shell("c", script) };
        let busy = "echo a | cat | tr a b | grep -q b && yes | head -n 3 | wc -l | grep -q 3";
        assert_eq!(run(&runtime, &sandbox.id, with(Seccomp::RuntimeDefault, busy)).await, 0, "a shell works");
        let escape = "unshare -U true 2>/dev/null";
        assert_eq!(
            run(&runtime, &sandbox.id, with(Seccomp::RuntimeDefault, escape)).await,
            1,
            "no user namespace"
        );
        let profile = world.dir.join("profile.json");
        std::fs::write(
            &profile,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#,
        )
        .unwrap();
        let local = with(Seccomp::Localhost(profile), "test -d /tmp && ! busybox mkdir /tmp/x 2>/dev/null");
        assert_eq!(run(&runtime, &sandbox.id, local).await, 0, "a profile of the machine");
    });
}

pub fn confined() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("nine")).await.unwrap();
        let config = ContainerConfig { read_only_rootfs: true, ..shell("c", "exec sleep 1000") };
        let id = start(&runtime, &sandbox.id, config).await;
        let script = "(echo x > /file) 2>/dev/null || echo no; echo x > /dev/shm/file && cat /dev/shm/file";
        assert_eq!(sh(&runtime, &id, script).await, "no\nx\n");
        // it may make the node of a device that it was not given, but not open it; 1:11 is the kernel's log
        let script = "busybox mknod /dev/log11 c 1 11 && (cat /dev/log11 2>/dev/null || echo no)";
        assert_eq!(sh(&runtime, &id, script).await, "no\n");
        assert_eq!(
            sh(&runtime, &id, "(echo 1 > /proc/sys/kernel/panic) 2>/dev/null || echo no").await,
            "no\n"
        );
        let directory = world.dir.join("directory");
        std::fs::create_dir(&directory).unwrap();
        let mounts = vec![Mount {
            source: Some(directory.clone()),
            target: "/work".into(),
            read_only: false,
            propagation: Propagation::Private,
            ..Mount::default()
        }];
        let config = ContainerConfig {
            working_dir: Some("/work/in/it".into()),
            mounts,
            ..shell("w", "echo x > file")
        };
        assert_eq!(run(&runtime, &sandbox.id, config).await, 0);
        assert!(directory.join("in/it/file").exists(), "the working directory is in the volume");
        let config = ContainerConfig { privileged: true, ..shell("p", "exec sleep 1000") };
        let free = start(&runtime, &sandbox.id, config).await;
        assert_eq!(
            sh(
                &runtime,
                &free,
                "test -c /dev/kmsg && dd if=/dev/kmsg of=/dev/null bs=8k count=0 2>/dev/null; echo $?"
            )
            .await,
            "0\n"
        );
        assert_eq!(
            sh(&runtime, &free, "mount -t tmpfs tmpfs /tmp && grep -c ' /tmp ' /proc/mounts").await,
            "1\n"
        );
        let disk = Path::new("/dev/loop0");
        if !disk.exists() {
            println!("SKIPPED: a device that is given needs {}", disk.display());
            return;
        }
        // to be read and not to be written to, wherever it is; its image has no such directory
        let given = |path: &str| Device {
            host_path: disk.to_owned(),
            container_path: path.into(),
            permissions: "r".into(),
        };
        let devices = vec![given("/dev/disk/mine"), given("/mnt/disk")];
        let config = ContainerConfig { devices, read_only_rootfs: true, ..shell("d", "exec sleep 1000") };
        let id = start(&runtime, &sandbox.id, config).await;
        for path in ["/dev/disk/mine", "/mnt/disk"] {
            let script = format!(
                "test -b {path} && dd if={path} of=/dev/null count=0 2>/dev/null && echo read; \
                (echo x > {path}) 2>/dev/null || echo no"
            );
            assert_eq!(sh(&runtime, &id, &script).await, "read\nno\n", "{path}");
        }
    });
}

pub fn with_the_host_s_namespaces() {
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let config =
            SandboxConfig { host_network: true, host_pid: true, host_ipc: true, ..world.sandbox("ten") };
        let sandbox = runtime.run_sandbox(config).await.unwrap();
        assert_eq!(sandbox.ip, None);
        let id = start(&runtime, &sandbox.id, shell("c", "exec sleep 1000")).await;
        for kind in ["net", "pid", "ipc"] {
            let own = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            let theirs = sh(&runtime, &id, &format!("readlink /proc/self/ns/{kind}")).await;
            assert_eq!(theirs.trim(), own.to_str().unwrap());
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.port_forward(&sandbox.id, port).await.unwrap();
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}

/// A key that only its possessor sees, in this process's session, as an administrator's login has it.
fn add_session_key(name: &std::ffi::CStr) {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    const SETPERM: libc::c_long = 5;
    const SESSION: libc::c_long = -3;
    const POSSESSOR_ALL: libc::c_long = 0x3f00_0000;
    let (kind, value) = (c"user", c"secret");
    // SAFETY: NUL-terminated texts that live through the calls, and numbers.
    let done = unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, std::ptr::null::<u8>());
        let key = libc::syscall(libc::SYS_add_key, kind.as_ptr(), name.as_ptr(), value.as_ptr(), 6, SESSION);
        libc::syscall(libc::SYS_keyctl, SETPERM, key, POSSESSOR_ALL)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

pub fn keyrings() {
    // before there are threads, each of which has a session of its own
    add_session_key(c"key-of-the-login");
    assert!(std::fs::read_to_string("/proc/keys").unwrap().contains("key-of-the-login"));
    world::with(|world| async move {
        let runtime = world.runtime().await;
        let sandbox = runtime.run_sandbox(world.sandbox("keys")).await.unwrap();
        // /proc/keys is masked for others
        let privileged = |name, script| ContainerConfig { privileged: true, ..shell(name, script) };
        let first =
            start(&runtime, &sandbox.id, privileged("a", "cat /proc/keys; echo all; exec sleep 1000")).await;
        // its first process may be slower than one that comes later
        while !world.log("keys", "a").contains("stdout F all") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        for seen in [sh(&runtime, &first, "cat /proc/keys").await, world.log("keys", "a")] {
            assert!(!seen.contains("key-of-the-login"), "{seen}");
            assert_eq!(
                seen.matches(&format!("_ses.{first}")).count(),
                1,
                "one for all of its processes: {seen}"
            );
        }
        runtime.remove_sandbox(&sandbox.id).await.unwrap();
    });
}
