//! `weir dev`: a whole edge on this machine. Reading [`session`] top to bottom is the order of what happens; it starts
//! nothing before everything that can be known beforehand is known to be good.

mod authority;
mod bootstrap;
mod children;
mod folder;
mod live;
mod mesh;
mod ports;
mod proxy;
mod services;
mod spinner;
mod tell;
mod tries;
mod watch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::authority::Trust;
use self::children::{Children, Plan, Ready};
use self::folder::Folder;
use self::mesh::MeshFile;
use self::proxy::Proxy;
use self::tell::{Event, Overview, Teller};
use self::watch::Watch;
use crate::args::DevArgs;
use crate::failure::{Failure, OrFail, Result};
use crate::output::Output;

/// Runs until it is interrupted, or a child ends by itself: that is a failure.
pub fn run(args: &DevArgs, output: Output) -> Result<()> {
    // On this thread alone: the children are tied to the life of the thread that starts them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_fail("the runtime could not be started", "the machine may be out of file descriptors: see `ulimit -n`")?;
    runtime.block_on(session(args, Teller::new(output)))
}

async fn session(args: &DevArgs, mut teller: Teller) -> Result<()> {
    let mut interrupts = Interrupts::new()?;
    let folder = Folder::open(&args.dir)?;
    let programs = Programs::beside_us(args)?;
    let mesh = MeshFile::choose(args.mesh.as_deref(), &folder)?;
    let first = mesh.first()?;
    let services = if args.no_services { Vec::new() } else { services::wanted(&first.mesh) };
    let ports = bootstrap::Ports::chosen(args)?;
    ports::all_free(&[ports.claims(), services::claims(&services, &mesh.path)].concat())?;
    if authority::prepare(&folder, &first.local_hosts(), SystemTime::now())? == Trust::New {
        teller.tell(&Event::NewAuthority { ca: &folder.file(authority::CA) })?;
    }
    bootstrap::write(&folder, &ports)?;
    teller.warned(&mesh.path, &first)?;
    let mut plans =
        programs.research.as_deref().map_or_else(Vec::new, |program| services::plans(&services, program, &folder));
    plans.push(proxy_plan(programs.proxy, &folder, &mesh));

    let mut children = Children::default();
    let serve = async {
        // Watched from before the proxy reads it: no save is missed.
        let watch = Watch::new(&mesh.path, first.source.text.clone())?;
        let ready = start(&mut children, &plans, &folder, &mut teller).await?;
        let overview = overview(&ready, &folder, &mesh, &first)?;
        let proxy = Proxy::new(overview.admin)?;
        teller.tell(&Event::Up(&overview))?;
        tokio::select! {
            failure = children.first_end() => Err(failure),
            Err(failure) = live::follow(&mesh, first, watch, &proxy, &folder, &mut teller) => Err(failure),
        }
    };
    let came = tokio::select! {
        came = serve => came,
        () = interrupts.next() => Ok(()),
    };
    // Nobody may be left to read this; the children have to end all the same.
    let _ = teller.tell(&Event::Ending);
    children.end(interrupts.next()).await;
    came?;
    teller.tell(&Event::Ended)?;
    Ok(())
}

async fn start(children: &mut Children, plans: &[Plan], folder: &Folder, teller: &mut Teller) -> Result<Ready> {
    teller.tell(&Event::Starting { children: plans.iter().map(|plan| plan.name.as_str()).collect() })?;
    for plan in plans {
        children.start(folder, plan)?;
    }
    children.ready(|progress| teller.progress(progress)).await
}

/// The programs that we start: they lie beside our own.
struct Programs {
    proxy: PathBuf,
    /// None when no service is wanted.
    research: Option<PathBuf>,
}

impl Programs {
    fn beside_us(args: &DevArgs) -> Result<Self> {
        let ours =
            std::env::current_exe().or_fail("our own program could not be found", "start it by its full path")?;
        let find = |name: &str| {
            let program = ours.with_file_name(name);
            match program.is_file() {
                true => Ok(program),
                false => Err(Failure::new(
                    format!("{} is missing: `weir dev` starts it", program.display()),
                    "run `cargo build --release` in the repository, then target/release/weir dev",
                )),
            }
        };
        let research = if args.no_services { None } else { Some(find("research")?) };
        Ok(Self { proxy: find("weir-proxy")?, research })
    }
}

const PROXY: &str = "proxy";

fn proxy_plan(program: PathBuf, folder: &Folder, mesh: &MeshFile) -> Plan {
    let arguments = [
        "--config".to_owned(),
        folder.file(bootstrap::FILE).display().to_string(),
        "--mesh".to_owned(),
        mesh.path.display().to_string(),
    ];
    Plan { name: PROXY.to_owned(), program, arguments: arguments.into(), state: bootstrap::STATE.to_owned() }
}

fn overview(ready: &Ready, folder: &Folder, mesh: &MeshFile, first: &mesh::Good) -> Result<Overview> {
    let address = |name: &str| -> Result<SocketAddr> {
        let found = ready.get(PROXY).and_then(|addresses| addresses.get(name)).copied();
        found.ok_or_else(|| {
            Failure::new(
                format!("the proxy does not say where its `{name}` is"),
                "weir and weir-proxy may be of different builds: run `cargo build --release`",
            )
        })
    };
    let edge = address("edge")?;
    let ca = folder.file(authority::CA);
    Ok(Overview {
        commands: tries::commands(first, edge.port(), &ca),
        edge,
        plain: address("plain")?,
        egress: address("egress")?,
        admin: address("admin")?,
        metrics: address("metrics")?,
        health: address("health")?,
        ca,
        mesh: mesh.path.clone(),
        access_log: folder.file(bootstrap::ACCESS_LOG),
        logs: folder.logs(),
    })
}

/// What ends us: Ctrl-C, a polite kill, a terminal that is closed.
struct Interrupts([Signal; 3]);

impl Interrupts {
    fn new() -> Result<Self> {
        let on = |kind| signal(kind).or_fail("signals cannot be received", "the machine may be out of descriptors");
        Ok(Self([on(SignalKind::interrupt())?, on(SignalKind::terminate())?, on(SignalKind::hangup())?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
