//! x
#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::print_stdout)]
use septet_robust_stats::design::*;
fn main(){
  let args: Vec<usize>=std::env::args().skip(1).map(|a|a.parse().unwrap()).collect();
  let seeds=args[0];
  let shapes:Vec<(usize,usize)>= args[1..].chunks(2).map(|c|(c[0],c[1])).collect();
  for (k,l) in shapes { let mut v=vec![]; let mut bad=0; let t=std::time::Instant::now(); let mut ts=0.0; let mut wr=vec![]; let mut imp=vec![];
    for s in 0..seeds { let mut seed=[0u8;32]; seed[31]=s as u8; seed[30]=(s>>8) as u8;
      let d=HashDesign::new(if std::env::var("DRAW").is_ok() {DesignParameters::new(k,l,seed).unwrap().drawn().unwrap().parameters} else {DesignParameters::new(k,l,seed).unwrap()}).unwrap();
      let m=DesignMatrix::from_design(&d).unwrap();
      let t1=std::time::Instant::now();
      let c=m.certify().unwrap().kept; ts+=t1.elapsed().as_secs_f64();
      if c==0.0 {bad+=1;continue}
      let w0=m.weakest_direction().unwrap().ratio; let w=m.audit().weakest.unwrap().ratio; imp.push(w/w0); v.push(c/w); wr.push(w*(k as f64/l as f64).sqrt()); if c>w {println!("ABOVE {k} {l} {s} {c} {w}");}
    }
    v.sort_by(f64::total_cmp); wr.sort_by(f64::total_cmp);
    imp.sort_by(f64::total_cmp); println!("search {:.3} {:.3}",imp[0],imp[imp.len()/2]); println!("{k}x{l}: bad {bad}, ratio min {:.3} med {:.3} max {:.3}; isom min {:.3} med {:.3}; cert {:.3}s all {:.3}s", v[0],v[v.len()/2],v[v.len()-1],wr[0],wr[wr.len()/2],ts/seeds as f64,t.elapsed().as_secs_f64());
  }
}
