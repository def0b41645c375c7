# Prints the learning rates that schedule_test.go compares with (PyTorch 2.15).
import torch, warnings
warnings.filterwarnings("ignore")
S=torch.optim.lr_scheduler
def run(make,n,lr=0.1):
    p=torch.nn.Parameter(torch.zeros(1)); o=torch.optim.SGD([p],lr=lr,momentum=0.9)
    s=make(o); out=[]
    for i in range(n):
        out.append(o.param_groups[0]['lr']); o.step(); s.step()
    return out
def show(name,v,idx): print(name, ", ".join("%d: %.12g"%(i,v[i]) for i in idx))
show("cosine T=100 floor .001",run(lambda o:S.CosineAnnealingLR(o,100,0.001),101),[0,1,10,50,75,99,100])
show("step size 30 g .1 lr .05",run(lambda o:S.StepLR(o,30,0.1),90,0.05),[0,29,30,59,60,89])
show("multi 32,48 ",run(lambda o:S.MultiStepLR(o,[32,48],0.1),64),[0,31,32,47,48,63])
show("poly p2 T=10",run(lambda o:S.PolynomialLR(o,10,2.0),13),[0,1,5,9,10,12])
show("exp .9",run(lambda o:S.ExponentialLR(o,0.9),20),[0,1,2,10,19])
show("onecycle 100",run(lambda o:S.OneCycleLR(o,0.1,100),100),[0,1,10,28,29,30,60,98,99])
show("onecycle lin 20 pct .25",run(lambda o:S.OneCycleLR(o,0.1,20,pct_start=0.25,anneal_strategy='linear',div_factor=10,final_div_factor=100),20),[0,1,3,4,5,12,18,19])
show("cyclic tri .01 .1 up 4",run(lambda o:S.CyclicLR(o,0.01,0.1,step_size_up=4,cycle_momentum=False),20),[0,1,3,4,5,8,9,12])
show("cyclic tri2",run(lambda o:S.CyclicLR(o,0.01,0.1,step_size_up=4,mode='triangular2',cycle_momentum=False),30),[0,1,4,8,12,13,20,21])
show("sgdr T0 10 x2 floor .001",run(lambda o:S.CosineAnnealingWarmRestarts(o,10,2,0.001),71),[0,5,9,10,20,29,30,50,69,70])
show("sgdr T0 10 x1",run(lambda o:S.CosineAnnealingWarmRestarts(o,10,1),31),[0,5,9,10,19,20])
show("linear from 0.25 10",run(lambda o:S.LinearLR(o,0.25,1.0,10),12),[0,1,5,9,10,11])
# plateau
p=torch.nn.Parameter(torch.zeros(1)); o=torch.optim.SGD([p],lr=0.1)
s=S.ReduceLROnPlateau(o,factor=0.5,patience=2,cooldown=1,min_lr=0.02,threshold=0.01)
vals=[1.0,0.9,0.895,0.9,0.9,0.9,0.9,0.9,0.9,0.9,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5]
out=[]
for v in vals: s.step(v); out.append(o.param_groups[0]['lr'])
print(vals); print(out)
